//! No secret comes out: not in the log of all categories, not in messages, figures, properties, dot
//! files, error texts, nor in what a panic prints.
//!
//! The elements run in a process of their own, since logs and dot files are of whole processes.

use std::path::Path;
use std::process::Command;

use gst::prelude::*;
use kvs_server::Config;

use super::LIVE_CAMERA;
use crate::harness::{Run, Server};

/// Where the process that runs the elements finds its files; only that process has it.
const FOLDER: &str = "KVS_TEST_SECRETS_FOLDER";
/// Each way has its own, with characters that percent-encoding and base64 change.
const SECRETS: [(&str, &str); 4] = [
    ("api", "wJalr/XUtn+FEMI=K7MDENG-api"),
    ("file", "bPxRf/iCYE+XAMP=LEKEY99-file"),
    ("environment", "zQ8mv/Lk2p+Rr5T=yNw1c-environment"),
    ("token", "FwoGZ/XIvYX+dzEJ=r3//token"),
];

/// A secret in every form in which it could be found.
fn forms(secret: &str) -> Vec<String> {
    let percent = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    let percent: String = secret.bytes().map(percent).collect();
    let mut forms = vec![secret.to_owned(), percent.to_lowercase(), percent];
    // In base64 its place among three bytes decides; the first and last digits mix with others.
    for before in 0..3 {
        let bytes = [&b"..."[..before], secret.as_bytes()].concat();
        let whole = bytes.len() / 3 * 3;
        let text = base64(&bytes[..whole]);
        forms.push(text[4..].to_owned());
        forms.push(text[4..].replace('+', "-").replace('/', "_"));
    }
    forms
}

/// Base64 of whole groups of three bytes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

fn credentials(folder: &Path, secrets: &[(&str, &str)]) -> Config {
    let section = |(name, secret): &(&str, &str)| {
        format!("[{name}]\naws_access_key_id = KEY{name}\naws_secret_access_key = {secret}\n")
    };
    let path = folder.join("server-credentials");
    let text: String = secrets.iter().map(section).collect();
    std::fs::write(&path, text).expect("there is room");
    Config {
        credentials: Some(path),
        ..Config::default()
    }
}

/// Shows all that an application can see of an element.
fn show(run: &mut Run) {
    let sink = run.element("k");
    for spec in sink.list_properties() {
        if spec.flags().contains(gst::glib::ParamFlags::READABLE) {
            eprintln!("{} = {:?}", spec.name(), sink.property_value(spec.name()));
        }
    }
    eprintln!("{sink:?}");
    eprintln!(
        "{}",
        run.pipeline
            .debug_to_dot_data(gst::DebugGraphDetails::all())
    );
    for message in run.pending() {
        eprintln!("{message:?}");
    }
}

fn pipeline(server: &Server, properties: &str) -> Run {
    let url = server.url();
    Run::new(&format!(
        "{LIVE_CAMERA} ! kvssink name=k stream-name=cam endpoint={url} {properties}"
    ))
}

/// What the process of its own does: uploads that go well, and ones that fail.
fn upload(folder: &Path) {
    let server = Server::start_with(credentials(folder, &SECRETS[..3]));
    let [(_, api), (_, file), _, (_, token)] = SECRETS;

    let mut run = pipeline(&server, "");
    let sink = run.element("k");
    sink.set_property("access-key", "KEYapi");
    sink.set_property("secret-key", api);
    run.set_state(gst::State::Playing);
    run.wait_for_structure("kvs-fragment-ack");
    show(&mut run);
    eprintln!("{:?}", run.pipeline.set_state(gst::State::Null));

    let path = folder.join("credential");
    std::fs::write(&path, format!("CREDENTIALS KEYfile {file}\n")).expect("there is room");
    let mut run = pipeline(&server, &format!("credential-path={}", path.display()));
    run.set_state(gst::State::Playing);
    run.wait_for_structure("kvs-fragment-ack");
    show(&mut run);

    let mut run = pipeline(&server, "");
    run.set_state(gst::State::Playing);
    run.wait_for_structure("kvs-fragment-ack");
    show(&mut run);

    // Credentials that are refused, a file that is none, a structure that is wrong.
    let mut run = pipeline(&server, "");
    let sink = run.element("k");
    sink.set_property("access-key", "KEYapi");
    sink.set_property("secret-key", file);
    sink.set_property("session-token", token);
    run.set_state(gst::State::Playing);
    eprintln!("{:?}", run.wait_for_error());
    show(&mut run);
    std::fs::write(
        &path,
        format!("CREDENTIALS KEYfile {file} {file} {file} x\n"),
    )
    .expect("there is room");
    let mut run = pipeline(&server, &format!("credential-path={}", path.display()));
    run.set_state(gst::State::Playing);
    eprintln!("{:?}", run.wait_for_error());
    show(&mut run);
    let mut run = pipeline(&server, "");
    run.element("k").set_property(
        "uri",
        format!("kvs://key:{api}@eu-west-1/cam?secret-key={api}"),
    );
    eprintln!("{:?}", run.pipeline.set_state(gst::State::Playing));
    eprintln!("{:?}", run.wait_for_error());
    show(&mut run);
    let iot = gst::Structure::builder("iot-certificate")
        .field("secret", api)
        .build();
    let mut run = pipeline(&server, "");
    run.element("k").set_property("iot-certificate", &iot);
    eprintln!("{:?}", run.pipeline.set_state(gst::State::Playing));
    eprintln!("{:?}", run.wait_for_error());
    panic!("with everything in scope: {run:p}", run = &run);
}

#[test]
fn no_secret_comes_out() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return upload(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let this = std::env::current_exe().expect("this test has a path");
    let mut child = Command::new(this);
    child.args([
        "--exact",
        "kvssink::secrets::no_secret_comes_out",
        "--nocapture",
    ]);
    child
        .env(FOLDER, folder.path())
        .env("GST_DEBUG", "*:9")
        .env("RUST_BACKTRACE", "full");
    child
        .env("AWS_ACCESS_KEY_ID", "KEYenvironment")
        .env("AWS_SECRET_ACCESS_KEY", SECRETS[2].1);
    let output = child.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let end = text
        .get(text.len().saturating_sub(2000)..)
        .unwrap_or_default();
    assert!(
        text.contains("with everything in scope"),
        "it did not get far: {end}"
    );
    assert!(
        text.contains("GST_SCHEDULING") && text.contains("digraph"),
        "it has said a lot"
    );
    for (way, secret) in SECRETS {
        for form in forms(secret) {
            if let Some(at) = text.find(&form) {
                let line = text[..at].lines().count();
                panic!("the secret of the {way} is in line {line}, as {form}");
            }
        }
    }
}

#[test]
fn a_secret_is_found_in_each_form() {
    assert_eq!(
        base64(b"any carnal pleas"[..15].as_ref()),
        "YW55IGNhcm5hbCBwbGVh"
    );
    let found = forms("a/b+c=d-0123456");
    assert!(found.contains(&"a%2Fb%2Bc%3Dd-0123456".to_owned()));
    assert!(
        found
            .iter()
            .any(|form| base64(b"a/b+c=d-0123456").ends_with(form))
    );
}
