//! The binary: its first line, its errors, its end.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};

use crate::signing::credentials;

/// The binary with these arguments.
pub(crate) fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvs-server"));
    command.args(arguments);
    command
}

/// Starts the binary; gives it, and the URL in its first line.
pub(crate) fn run(arguments: &[&str]) -> (Child, String) {
    let mut child = binary(arguments)
        // As the unit and the container have it.
        .env("MALLOC_ARENA_MAX", "2")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary is there");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("a first line");
    let url = line
        .trim_end()
        .strip_prefix("kvs-server listening on ")
        .expect("the first line");
    (child, url.to_owned())
}

fn refused(arguments: &[&str], says: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = binary(arguments).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&stderr);
    let said: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with("kvs-server: "))
        .collect();
    assert!(!status.success(), "{arguments:?}");
    assert!(stdout.is_empty(), "{arguments:?}");
    assert!(
        said.len() == 1 && said[0].contains(says),
        "{arguments:?}: {stderr}"
    );
}

#[test]
fn each_start_that_fails_says_why_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let any = ["--listen", "127.0.0.1:0"];
    let with = |more: &[&'static str]| [&any[..], more].concat();
    refused(
        &["--listen", "0.0.0.0:0", "--memory"],
        "refusing to listen on 0.0.0.0:0 without",
    );
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    refused(
        &["--listen", &address, "--memory"],
        "choose another --listen",
    );
    std::fs::write(path("bad"), "[x]\naws_secret_access_key = s3cr3t\n").expect("writable");
    let bad = path("bad");
    refused(
        &[any[0], any[1], "--memory", "--credentials", &bad],
        "line 1: [x] needs",
    );
    let none = path("none");
    refused(
        &[any[0], any[1], "--memory", "--credentials", &none],
        "No such file",
    );
    refused(
        &[
            any[0],
            any[1],
            "--memory",
            "--tls-cert",
            &none,
            "--tls-key",
            &none,
        ],
        "TLS file",
    );
    refused(&with(&["--memory", "--account-id", "12"]), "twelve digits");
    refused(
        &with(&["--memory", "--region", "US West"]),
        "--region US West",
    );
    refused(
        &with(&["--memory", "--public-url", "kvs"]),
        "--public-url kvs",
    );
}

#[test]
fn a_data_folder_that_cannot_be_used_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let any = ["--listen", "127.0.0.1:0", "--data"];
    let at = |place: &str| [any[0], any[1], any[2], place].map(String::from);
    let refused = |place: &str, says: &str| {
        let arguments = at(place);
        refused(&arguments.each_ref().map(String::as_str), says);
    };
    // Nobody, not even root, makes a folder below a file.
    std::fs::write(path("file"), "").expect("writable");
    refused(&path("file/data"), "data");
    refused(&path("file"), "file is a file, not a folder");
    // Root may open whatever belongs to others, but no folder as a file.
    std::fs::create_dir_all(path("foreign/LOCK")).expect("writable");
    let foreign = path("foreign");
    refused(&foreign, &format!("lock the data folder {foreign}: "));
    let data = path("data");
    let (mut server, _) = run(&at(&data).each_ref().map(String::as_str));
    refused(
        &data,
        &format!("another kvs-server uses the data folder {data}: "),
    );
    server.kill().expect("it runs");
    server.wait().expect("it was killed");
    let format = folder.path().join("data/FORMAT");
    std::fs::write(&format, "kvs-server store, format 999\n").expect("writable");
    refused(&data, "format");
    let checked = binary(&["check", "--data", &path("none")])
        .output()
        .expect("it runs");
    assert!(!checked.status.success());
}

/// A server that listens; its log is piped.
fn logged(arguments: &[&str]) -> Child {
    let mut child = binary(arguments)
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is there");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("a first line");
    assert!(line.starts_with("kvs-server listening on "), "{line}");
    child
}

/// What a server says in its log before it listens.
fn log(arguments: &[&str]) -> String {
    let mut child = logged(arguments);
    child.kill().expect("it runs");
    let output = child.wait_with_output().expect("it was killed");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_less_safe_than_it_could_be_is_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = credentials(&folder, "");
    let readable_by = |mode| {
        let mode = Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("it is ours");
    };
    let file = file.to_str().expect("a path in UTF-8");
    let at = |address| log(&["--memory", "--listen", address, "--credentials", file]);
    readable_by(0o600);
    assert!(!at("127.0.0.1:0").contains("WARN"));
    let said = at("0.0.0.0:0");
    assert!(
        said.contains("WARN") && said.contains("without TLS"),
        "{said}"
    );
    readable_by(0o644);
    let said = at("127.0.0.1:0");
    assert!(
        said.contains("WARN") && said.contains("can read it"),
        "{said}"
    );
}

pub(crate) fn tell(child: &Child, signal: &str) {
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(kill.expect("kill is there").success());
}

#[test]
fn faults_are_enabled_with_a_warning_and_never_for_strangers() {
    let said = log(&["--memory", "--listen", "127.0.0.1:0", "--enable-faults"]);
    assert!(
        said.contains("WARN") && said.contains("faults are enabled"),
        "{said}"
    );
    let open = ["--memory", "--listen", "0.0.0.0:0", "--enable-faults"];
    refused(&open, "refusing to listen on 0.0.0.0:0 without");
}

#[test]
fn a_signal_stops_it_cleanly() {
    let (mut child, url) = run(&["--listen", "127.0.0.1:0", "--memory"]);
    assert!(url.starts_with("http://127.0.0.1:"));
    tell(&child, "-TERM");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_hangup_reads_its_files_again_and_ends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = credentials(&folder, "");
    let file = file.to_str().expect("a path in UTF-8");
    let mut child = logged(&["--memory", "--listen", "127.0.0.1:0", "--credentials", file]);
    let log = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = log.lines().map(|line| line.expect("text"));
    let mut until = |what: &str| {
        let said = lines.any(|line| line.contains(what));
        assert!(said, "the log ended without {what}");
    };
    tell(&child, "-HUP");
    until("credentials: read again");
    std::fs::write(file, "").expect("writable");
    tell(&child, "-HUP");
    until("credentials: as before");
    tell(&child, "-TERM");
    until("stopping");
    assert!(child.wait().expect("it ends").success());
}
