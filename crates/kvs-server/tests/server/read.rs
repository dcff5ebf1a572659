//! Reading, as tests want it: a whole stream, taken apart.

use kvs_server::Handle;

use crate::harness::post;
use crate::movie::{self, Chunk};

/// Everything there is, once the response ends by itself.
pub(crate) async fn earliest(server: &Handle, stream: &str) -> Vec<Chunk> {
    get_media(server, stream, r#""StartSelectorType":"EARLIEST""#).await
}

/// A GetMedia to its end.
pub(crate) async fn get_media(server: &Handle, stream: &str, selector: &str) -> Vec<Chunk> {
    let json = format!(r#"{{"StreamName":"{stream}","StartSelector":{{{selector}}}}}"#);
    let reply = post(server.address(), "/getMedia", &json).await;
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    assert_eq!(reply.header("content-type"), Some("video/webm"));
    movie::chunks(&reply.body)
}
