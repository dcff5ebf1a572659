//! The tools of a data folder, as the binary runs them: back up, restore, rotate, make again.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use kvs_server::{Config, Handle, Server};

use crate::harness::{create, post, upload};
use crate::movie;
use crate::read::earliest;
use crate::startup::binary;

async fn start(data: &Path) -> Handle {
    let config = Config {
        data: Some(data.into()),
        ..Config::default()
    };
    Server::start(config).await.expect("the folder is free")
}

/// What a tool prints, and whether it exits with 0.
async fn tool(arguments: &[&str]) -> (String, bool) {
    let mut command = binary(arguments);
    // A server of this very process may have to answer meanwhile.
    let run = tokio::task::spawn_blocking(move || command.output());
    let ended = run.await.expect("no panic").expect("it runs");
    let mut said = String::from_utf8_lossy(&ended.stdout).into_owned();
    said += &String::from_utf8_lossy(&ended.stderr);
    (said, ended.status.success())
}

async fn succeeds(arguments: &[&str]) -> String {
    let (said, success) = tool(arguments).await;
    assert!(success, "{arguments:?}: {said}");
    said
}

/// Two streams, one of which has three fragments.
async fn fill(address: SocketAddr) {
    create(address, "cam", 24).await;
    create(address, "door", 24).await;
    upload(address, "cam", &movie::body(3)).await;
}

/// A server on the folder has them still.
async fn is_filled(data: &Path, fragments: usize) {
    let server = start(data).await;
    assert_eq!(earliest(&server, "cam").await.len(), fragments);
    server.stop().await;
}

#[tokio::test]
async fn a_backup_of_a_server_that_runs_is_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let paths = [&data, &copy].map(|path| path.to_str().expect("UTF-8"));
    let backup = ["backup", "--data", paths[0], "--to", paths[1]];
    let server = start(&data).await;
    fill(server.address()).await;
    let said = succeeds(&backup).await;
    assert!(said.contains("2 streams, 3 fragments: backed up"), "{said}");
    assert!(said.contains("the master key is in the backup"), "{said}");
    // The server goes on, and a second backup takes what is new; then without a server.
    upload(server.address(), "cam", &movie::body(2)).await;
    let said = succeeds(&backup).await;
    assert!(said.contains("2 streams, 5 fragments"), "{said}");
    server.stop().await;
    assert!(!data.join("backup.sock").exists());
    let said = succeeds(&backup).await;
    assert!(said.contains("5 fragments: backed up, 0 MiB"), "{said}");
    let said = succeeds(&["check", "--data", paths[1], "--full"]).await;
    assert!(
        said.contains("2 streams, 5 fragments: no damage found"),
        "{said}"
    );
    is_filled(&copy, 5).await;
    // The copy is a store of its own now.
    let (said, success) = tool(&backup).await;
    assert!(!success && said.contains("no backup"), "{said}");
    let (said, success) = tool(&["backup", "--data", paths[0], "--to", paths[0]]).await;
    assert!(
        !success && said.contains("in the data folder itself"),
        "{said}"
    );
}

#[tokio::test]
async fn a_server_stops_in_the_middle_of_a_backup() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path()).await;
    fill(server.address()).await;
    // Somebody who began a backup, and then does nothing.
    let path = folder.path().join("backup.sock");
    let mut idle = tokio::net::UnixStream::connect(&path)
        .await
        .expect("it listens");
    tokio::io::AsyncReadExt::read_u8(&mut idle)
        .await
        .expect("it is told something");
    server.stop().await;
    is_filled(folder.path(), 3).await;
}

#[tokio::test]
async fn an_index_is_made_again_and_the_master_key_exchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, key) = (folder.path().join("data"), folder.path().join("new.key"));
    let paths = [&data, &key].map(|path| path.to_str().expect("UTF-8"));
    let server = start(&data).await;
    fill(server.address()).await;
    let rebuild = ["rebuild-index", "--data", paths[0]];
    let (said, success) = tool(&rebuild).await;
    assert!(
        !success && said.contains("another kvs-server uses"),
        "{said}"
    );
    server.stop().await;
    fs::write(data.join("index.redb"), "lost").expect("writable");
    let (said, success) = tool(&["check", "--data", paths[0]]).await;
    assert!(!success && said.contains("rebuild-index"), "{said}");
    let said = succeeds(&rebuild).await;
    let made = "2 streams, 3 fragments: the index is made again; the old one is index.redb.old-1\n";
    assert!(said.contains(made), "{said}");
    is_filled(&data, 3).await;

    let said = succeeds(&["rotate-key", "--data", paths[0]]).await;
    let made = "2 stream keys under a new master key: it lies in the data folder\n";
    assert!(said.contains(made), "{said}");
    is_filled(&data, 3).await;
    fs::write(&key, "0f".repeat(32)).expect("writable");
    let rotate = [
        "rotate-key",
        "--data",
        paths[0],
        "--new-master-key",
        paths[1],
    ];
    assert!(succeeds(&rotate).await.contains("--master-key"));
    assert!(!data.join("master.key").exists());
    let check = [
        "check",
        "--data",
        paths[0],
        "--full",
        "--master-key",
        paths[1],
    ];
    assert!(succeeds(&check).await.contains("3 fragments: no damage"));
    let said = succeeds(
        &[
            &["backup", "--data", paths[0], "--master-key", paths[1]][..],
            &["--to", folder.path().join("copy").to_str().expect("UTF-8")],
        ]
        .concat(),
    )
    .await;
    assert!(
        said.contains("the master key is not in the backup"),
        "{said}"
    );
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

#[tokio::test]
async fn nothing_of_a_deleted_streams_key_is_left_in_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let path = data.to_str().expect("UTF-8");
    let server = start(&data).await;
    fill(server.address()).await;
    server.stop().await;
    // Each of these writes keys, or an index, once more.
    let key = data.join("keys/00000001");
    let mut wrapped = vec![fs::read(&key).expect("it is there")];
    succeeds(&["rotate-key", "--data", path]).await;
    wrapped.push(fs::read(&key).expect("it is there"));
    succeeds(&["rebuild-index", "--data", path]).await;
    let server = start(&data).await;
    let reply = post(
        server.address(),
        "/describeStream",
        r#"{"StreamName":"cam"}"#,
    )
    .await;
    let arn = reply.json()["StreamInfo"]["StreamARN"].clone();
    let json = serde_json::json!({ "StreamARN": arn }).to_string();
    assert_eq!(
        post(server.address(), "/deleteStream", &json).await.status,
        200
    );
    // While it runs, and when it is stopped.
    let none_is_left = || {
        for path in files(&data).iter().filter(|path| path.is_file()) {
            let mut bytes = fs::read(path).expect("readable");
            // The reserve is all zeros, and much of an index.
            let end = bytes.iter().rposition(|byte| *byte != 0);
            bytes.truncate(end.map_or(0, |end| end + 1));
            for wrapped in &wrapped {
                // Its salt, the sealed key and the tag: half of any would be no key.
                let found = wrapped[16..].chunks(16).any(|part| {
                    let mut windows = bytes.windows(part.len());
                    windows.any(|window| window == part)
                });
                assert!(!found, "{} has it", path.display());
            }
        }
    };
    none_is_left();
    server.stop().await;
    none_is_left();
    succeeds(&["check", "--data", path, "--full"]).await;
}
