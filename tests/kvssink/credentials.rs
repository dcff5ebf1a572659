//! Credentials: from a file, for a device's certificate, and what is said of those that do not fit.

use std::path::Path;
use std::process::Command;

use gst::prelude::*;
use kvs_server::Config;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{CAMERA, FRAMES, LIVE_CAMERA};
use crate::harness::{Run, Server};

#[path = "../../crates/kvs-client/tests/iot/provider.rs"]
mod provider;

use provider::{Authority, Device, Provider};

const ACCESS_KEY: &str = "ASIADEVICE";
const SECRET_KEY: &str = "wJalrXUtnFEMIK7MDENG";
const TOKEN: &str = "device-token";

/// A server that lets nobody in but who has that key.
fn server(folder: &TempDir) -> Server {
    let path = folder.path().join("credentials");
    let text = format!(
        "[device]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n\
         aws_session_token = {TOKEN}\n"
    );
    std::fs::write(&path, text).expect("written");
    Server::start_with(Config {
        credentials: Some(path),
        ..Config::default()
    })
}

fn write(path: &Path, secret_key: &str) {
    let line = format!("CREDENTIALS {ACCESS_KEY} 2096-01-18T09:18:06Z {secret_key} {TOKEN}\n");
    std::fs::write(path, line).expect("written");
}

fn persisted(run: &Run) -> u64 {
    let stats: gst::Structure = run.element("k").property("stats");
    stats.get("frames-persisted").expect("a number")
}

#[test]
fn a_credential_file_lets_the_upload_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let file = folder.path().join("credential");
    write(&file, SECRET_KEY);
    let run = Run::to_end(&format!(
        "{CAMERA} ! kvssink name=k stream-name=cam credential-path={} endpoint={}",
        file.display(),
        server.url()
    ));
    assert_eq!(persisted(&run), FRAMES as u64);
}

#[test]
fn a_credential_file_that_is_mended_is_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    // A pipe, so that it is known who has read what: each line waits for its reader.
    let file = folder.path().join("credential");
    let made = Command::new("mkfifo").arg(&file).status();
    assert!(made.expect("mkfifo is there").success());
    let mut run = Run::play(&format!(
        "{LIVE_CAMERA} ! kvssink name=k stream-name=cam credential-path={} endpoint={}",
        file.display(),
        server.url()
    ));
    write(&file, "an-old-one");
    // They are refused, which may be because the file was changed meanwhile: it is read again.
    run.wait_for_state("backoff");
    write(&file, SECRET_KEY);
    run.wait_for_state("streaming");
}

#[test]
fn a_device_uploads_as_awss_documentation_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder);
    let runtime = Runtime::new().expect("a runtime");
    let authority = Authority::new();
    let device = Device::new(&authority, &authority);
    let given = provider::credentials(ACCESS_KEY, SECRET_KEY, TOKEN);
    let provider = runtime.block_on(Provider::start(&authority, "200 OK", given));
    let file = |name| device.file(name).display().to_string();
    let run = Run::to_end(&format!(
        "{CAMERA} ! kvssink name=k stream-name=porch endpoint={} \
         iot-certificate=\"iot-certificate,endpoint={},cert-path={},key-path={},ca-path={},\
         role-aliases=cameras\"",
        server.url(),
        provider.endpoint(),
        file("cert.pem"),
        file("key.pem"),
        file("ca.pem"),
    ));
    assert_eq!(persisted(&run), FRAMES as u64);
    let asked = provider.asked();
    assert!(
        asked[0].contains("x-amzn-iot-thingname: porch\r\n"),
        "{}",
        asked[0]
    );
}

#[test]
fn what_does_not_fit_together_is_an_error_at_ready() {
    let file = "credential-path=/nowhere";
    let iot = "iot-certificate=\"iot-certificate,endpoint=e,cert-path=c,key-path=k,ca-path=a,\
               role-aliases=r\"";
    let odd = "iot-certificate=\"iot-certificate,endpoint=e,odd=x\"";
    for (properties, says) in [
        (format!("{file} {iot}"), "set one"),
        (odd.to_owned(), "there is no field odd"),
    ] {
        let mut run = Run::new(&format!("{CAMERA} ! kvssink stream-name=cam {properties}"));
        assert!(run.pipeline.set_state(gst::State::Ready).is_err());
        let error = run.wait_for_error();
        assert!(error.message().contains(says), "{error}");
    }
}
