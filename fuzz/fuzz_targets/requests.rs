//! Requests of every operation, and signatures: an answer to any bytes, and none accepted.
#![no_main]

use kvs_protocol::api::{
    CreateStream, DeleteStream, DescribeStream, GetDataEndpoint, GetMedia,
    GetMediaForFragmentList, ListFragments, ListStreams, PutMedia,
};
use kvs_protocol::sigv4::{Payload, SERVICE, Scope, Secret, SignedRequest, verify};
use kvs_protocol::{ErrorReply, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = CreateStream::parse(bytes);
    let _ = DeleteStream::parse(bytes);
    let _ = DescribeStream::parse(bytes);
    let _ = GetDataEndpoint::parse(bytes);
    let _ = GetMedia::parse(bytes);
    let _ = GetMediaForFragmentList::parse(bytes);
    let _ = ListFragments::parse(bytes);
    let _ = ListStreams::parse(bytes);
    let _ = PutMedia::parse(|name| name.ends_with("name").then_some(bytes));
    let _ = ErrorReply::read(400, None, bytes);

    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let headers: [(&str, &[u8]); 3] =
        [("host", b"h"), ("x-amz-date", b"20150830T123600Z"), ("authorization", bytes)];
    let request = SignedRequest {
        method: "POST",
        path: "/listStreams",
        query: "",
        headers: &headers,
        payload: Payload::Whole(b"{}"),
    };
    let scope = Scope { region: "us-west-2", service: SERVICE };
    let now = Timestamp::from_ms(1_440_938_160_000);
    assert!(verify(&request, &scope, now, |_| Some(&secret)).is_err());
});
