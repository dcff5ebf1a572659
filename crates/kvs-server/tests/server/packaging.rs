//! The container's entry point: it makes a key once, and the server takes it.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use crate::startup::run;

/// Runs the entry point before a server that only says its arguments, a line each.
fn enter(folder: &Path, arguments: &[&str]) -> (String, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/entrypoint.sh");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(script)
        .args(arguments)
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .env("KVS_DATA", folder)
        .output()
        .expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert!(status.success(), "{stderr}");
    (stdout, stderr)
}

#[test]
fn a_container_makes_its_key_at_its_first_start_and_says_it_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = folder.path().join("kvs-server");
    std::fs::write(&server, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").expect("writable");
    std::fs::set_permissions(&server, Permissions::from_mode(0o755)).expect("it is ours");
    let (tool, said) = enter(folder.path(), &["check", "--data", "x"]);
    assert_eq!((tool.as_str(), said.as_str()), ("check\n--data\nx\n", ""));
    let file = folder.path().join("credentials");
    assert!(!file.exists());
    let (first, said) = enter(folder.path(), &["--region", "eu-west-1"]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (store, credentials) = (path("store"), path("credentials"));
    let expected = [
        "--listen",
        "0.0.0.0:5600",
        "--data",
        &store,
        "--credentials",
        &credentials,
        "--region",
        "eu-west-1",
    ];
    assert_eq!(first.lines().collect::<Vec<_>>(), expected);
    let text = std::fs::read_to_string(&file).expect("it is made");
    let mode = file.metadata().expect("it is there").mode();
    assert_eq!(mode & 0o777, 0o600);
    for (name, told, bytes) in [
        ("aws_access_key_id = ", "AWS_ACCESS_KEY_ID=", 20),
        ("aws_secret_access_key = ", "AWS_SECRET_ACCESS_KEY=", 40),
    ] {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.expect("it is in the file");
        assert_eq!(value.len(), bytes);
        assert!(said.contains(&format!("{told}{value}\n")), "{said}");
    }
    let (second, said) = enter(folder.path(), &[]);
    assert_eq!(second.lines().collect::<Vec<_>>(), expected[..6]);
    assert_eq!(said, "");
    assert_eq!(std::fs::read_to_string(&file).expect("it stays"), text);
    let arguments = [
        "--memory",
        "--listen",
        "127.0.0.1:0",
        "--credentials",
        &credentials,
    ];
    let (mut child, _) = run(&arguments);
    child.kill().expect("it takes the file");
    child.wait().expect("it was killed");
}

#[test]
fn the_unit_and_the_container_bound_what_the_allocator_keeps() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    for file in ["kvs-server.service", "Dockerfile"] {
        let text = std::fs::read_to_string(packaging.join(file)).expect("it is there");
        assert!(text.contains("MALLOC_ARENA_MAX=2"), "{file}");
    }
}
