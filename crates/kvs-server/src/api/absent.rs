//! Operations of the service that are not here, and why: whoever calls one is told so.

/// Signaling, WebRTC and the edge agent.
const OUT_OF_SCOPE: &[&str] = &[
    "/createSignalingChannel",
    "/deleteSignalingChannel",
    "/describeSignalingChannel",
    "/getSignalingChannelEndpoint",
    "/listSignalingChannels",
    "/updateSignalingChannel",
    "/describeMappedResourceConfiguration",
    "/describeMediaStorageConfiguration",
    "/updateMediaStorageConfiguration",
    "/v1/get-ice-server-config",
    "/v1/send-alexa-offer-to-master",
    "/joinStorageSession",
    "/joinStorageSessionAsViewer",
    "/startEdgeConfigurationUpdate",
    "/describeEdgeConfiguration",
    "/deleteEdgeConfiguration",
    "/listEdgeAgentConfigurations",
];

/// Playback, clips and images.
const NOT_BUILT_YET: &[&str] = &[
    "/getHLSStreamingSessionURL",
    "/getDASHStreamingSessionURL",
    "/getClip",
    "/getImages",
];

/// Why nothing answers at this path.
pub(super) fn reason(path: &str) -> &'static str {
    if OUT_OF_SCOPE.contains(&path) {
        "is out of scope of kvs-server, as are all signaling, WebRTC and edge-agent operations"
    } else if NOT_BUILT_YET.contains(&path) {
        "is not built yet, as are all operations of playback, clips and images"
    } else {
        "is no operation of this server"
    }
}
