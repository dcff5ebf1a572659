//! A device's certificate is exchanged for credentials, over real TLS.

use std::time::Duration;

use kvs_client::{
    ConnectionConfig, CredentialSource, ErrorKind, IotCertificate, Service, ServiceError,
};

mod provider;

use provider::{Authority, Device, Provider, credentials};

const SECRET: &str = "wJalrXUtnFEMIK7MDENG";

fn service(device: &Device, provider: &Provider) -> Service {
    let mut config = ConnectionConfig::new("cam".parse().expect("a name"));
    config.region = Some("eu-west-1".to_owned());
    config.credentials = CredentialSource::Iot(Box::new(IotCertificate {
        endpoint: provider.endpoint(),
        cert_path: device.file("cert.pem"),
        key_path: device.file("key.pem"),
        ca_path: device.file("ca.pem"),
        role_alias: "cameras".to_owned(),
        thing_name: "porch".to_owned(),
        connect_timeout: Duration::from_secs(10),
        completion_timeout: Duration::from_secs(10),
    }));
    Service::new(config)
}

async fn refused(device: &Device, provider: &Provider) -> ServiceError {
    let fetched = service(device, provider).credentials().await;
    let error = fetched.expect_err("there are none");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    error
}

#[tokio::test]
async fn a_device_gets_credentials_for_its_name_and_role() {
    let authority = Authority::new();
    let given = credentials("ASIADEVICE", SECRET, "token");
    let provider = Provider::start(&authority, "200 OK", given).await;
    let device = Device::new(&authority, &authority);
    let service = service(&device, &provider);
    let credentials = service.credentials().await.expect("credentials");
    assert_eq!(credentials.access_key_id(), "ASIADEVICE");
    assert_eq!(credentials.secret_access_key(), SECRET);
    assert_eq!(credentials.session_token(), Some("token"));
    assert!(credentials.expiry().is_some());
    service.credentials().await.expect("the same");
    let asked = provider.asked();
    assert_eq!(asked.len(), 1, "they are kept until they expire");
    let path = "GET /role-aliases/cameras/credentials HTTP/1.1\r\n";
    assert!(asked[0].starts_with(path), "{}", asked[0]);
    assert!(
        asked[0].contains("x-amzn-iot-thingname: porch\r\n"),
        "{}",
        asked[0]
    );
    service.invalidate_credentials();
    service.credentials().await.expect("fresh ones");
    assert_eq!(provider.asked().len(), 2);
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_with_what_to_check() {
    let authority = Authority::new();
    let device = Device::new(&authority, &authority);
    let body = format!(r#"{{"message":"no {SECRET}"}}"#);
    let provider = Provider::start(&authority, "403 Forbidden", body).await;
    let error = refused(&device, &provider).await;
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.to_string().contains("role-aliases"), "{error}");
}

#[tokio::test]
async fn what_may_work_later_is_told_apart() {
    let authority = Authority::new();
    let device = Device::new(&authority, &authority);
    let long = format!("{SECRET}{}", "x".repeat(100_000));
    for (status, body) in [
        ("500 Internal Server Error", SECRET.to_owned()),
        ("429 Too Many Requests", SECRET.to_owned()),
        ("200 OK", format!(r#"{{"credentials":"{SECRET}"}}"#)),
        (
            "200 OK",
            credentials("ASIADEVICE", SECRET, "token").replace("2096", "soon"),
        ),
        ("200 OK", long),
    ] {
        let provider = Provider::start(&authority, status, body).await;
        let error = refused(&device, &provider).await;
        assert_eq!(
            error.kind(),
            ErrorKind::CredentialsUnavailable,
            "{status}: {error}"
        );
        assert!(error.is_retryable(), "{status}");
    }
}

#[tokio::test]
async fn neither_side_takes_a_certificate_of_a_stranger() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let given = credentials("ASIADEVICE", SECRET, "token");
    let provider = Provider::start(&authority, "200 OK", given).await;
    for (own, trusted) in [(&stranger, &authority), (&authority, &stranger)] {
        let device = Device::new(own, trusted);
        let error = refused(&device, &provider).await;
        assert_eq!(error.kind(), ErrorKind::CredentialsUnavailable, "{error}");
    }
    assert!(provider.asked().is_empty(), "nobody got so far as to ask");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let provider = Provider::start(&authority, "200 OK", String::new()).await;
    for (file, field) in [
        ("cert.pem", "cert-path"),
        ("key.pem", "key-path"),
        ("ca.pem", "ca-path"),
    ] {
        let device = Device::new(&authority, &authority);
        std::fs::write(device.file(file), "no PEM").expect("written");
        let error = refused(&device, &provider).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{field}");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[tokio::test]
async fn a_provider_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let authority = Authority::new();
    let device = Device::new(&authority, &authority);
    let provider = Provider::start(&authority, "200 OK", String::new()).await;
    let mut config = service(&device, &provider).config().clone();
    if let CredentialSource::Iot(iot) = &mut config.credentials {
        iot.endpoint = format!("localhost:{}", address.port());
        iot.connect_timeout = Duration::from_millis(50);
    }
    let error = Service::new(config).credentials().await;
    let error = error.expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::CredentialsUnavailable, "{error}");
    drop(listener);
}
