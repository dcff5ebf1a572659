//! TLS: a server is trusted by its `ca-file`, and by nothing else.

use gst::prelude::*;
use kvs_server::{Config, TlsFiles};

use super::{CAMERA, FRAMES};
use crate::harness::{self, Run, Server};

fn server() -> Server {
    let folder = harness::file("crates/kvs-client/tests/reading/tls");
    Server::start_with(Config {
        tls: Some(TlsFiles {
            cert: folder.join("server.pem"),
            key: folder.join("server-key.pem"),
        }),
        ..Config::default()
    })
}

#[test]
fn an_upload_goes_through_tls_and_back() {
    let server = server();
    assert!(server.url().starts_with("https://"), "{}", server.url());
    let authority = harness::file("crates/kvs-client/tests/reading/tls/ca.pem");
    let authority = authority.display();
    let run = Run::to_end(&format!(
        "{CAMERA} ! kvssink name=k stream-name=cam ca-file={authority} endpoint={}",
        server.url()
    ));
    let stats: gst::Structure = run.element("k").property("stats");
    assert_eq!(stats.get::<u64>("frames-persisted"), Ok(FRAMES as u64));
    let run = Run::to_end(&format!(
        "kvssrc name=s stream-name=cam mode=archive ca-file={authority} endpoint={} ! fakesink",
        server.url()
    ));
    let stats: gst::Structure = run.element("s").property("stats");
    assert_eq!(stats.get::<u64>("frames"), Ok(FRAMES as u64));
}

#[test]
fn a_server_that_nobody_vouches_for_is_an_error_that_names_ca_file() {
    let server = server();
    for element in ["kvssink", "kvssrc"] {
        let description = match element {
            "kvssink" => format!(
                "{CAMERA} ! kvssink stream-name=cam endpoint={}",
                server.url()
            ),
            _ => format!(
                "kvssrc stream-name=cam endpoint={} ! fakesink",
                server.url()
            ),
        };
        let error = Run::play(&description).wait_for_error();
        assert!(error.message().contains("ca-file"), "{element}: {error}");
    }
}
