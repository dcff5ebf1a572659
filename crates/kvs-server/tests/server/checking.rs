//! `kvs-server check`: what it says of a folder, and how it exits.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kvs_server::{Config, Server};

use crate::harness::{create, upload};
use crate::movie;
use crate::startup::binary;

/// What `check` prints, and whether it exits with 0.
fn check(data: &Path, more: &[&str]) -> (String, bool) {
    let data = data.to_str().expect("a path in UTF-8");
    let arguments = [&["check", "--data", data], more].concat();
    let checked = binary(&arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    (said, checked.status.success())
}

#[tokio::test]
async fn a_check_says_how_much_it_looked_at_and_how_closely() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let config = Config {
        data: Some(data.clone()),
        ..Config::default()
    };
    let server = Server::start(config).await.expect("an empty folder");
    create(server.address(), "cam", 24).await;
    create(server.address(), "door", 24).await;
    upload(server.address(), "cam", &movie::body(3)).await;
    server.stop().await;
    let fast = "2 streams, 3 fragments: no damage found \
                (headers and index; --full reads every byte)\n";
    assert_eq!(check(&data, &[]), (fast.into(), true));
    let full = "2 streams, 3 fragments: no damage found (every byte was read)\n";
    assert_eq!(check(&data, &["--full"]), (full.into(), true));
    let segments = fs::read_dir(data.join("segments")).expect("a folder of segments");
    for segment in segments {
        let path = segment.expect("an entry").path();
        let segment = fs::OpenOptions::new().write(true).open(path);
        // Behind the header of the first record.
        let segment = segment.expect("a segment");
        segment.write_all_at(b"damaged", 1000).expect("writable");
    }
    assert_eq!(check(&data, &[]), (fast.into(), true));
    let (said, clean) = check(&data, &["--full"]);
    assert!(!clean && said.lines().count() == 1, "{said}");
    assert!(said.ends_with("it does not authenticate\n"), "{said}");
}
