//! AWS's Signature Version 4 test suite, by the names of its examples.

use super::*;
use crate::{ApiError, ErrorKind, Timestamp};
use proptest::prelude::*;

struct Vector {
    name: &'static str,
    request: &'static str,
    /// Besides `Host` and `X-Amz-Date`, which all have.
    headers: &'static [(&'static str, &'static str)],
    signed: &'static str,
    body: &'static str,
    signature: &'static str,
}

const VANILLA: Vector = Vector {
    name: "",
    request: "",
    headers: &[],
    signed: "host;x-amz-date",
    body: "",
    signature: "",
};

const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWs\
    KWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGde\
    ehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8T\
    x6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FD\
    rypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

const VECTORS: &[Vector] = &[
    Vector {
        name: "get-header-key-duplicate",
        request: "GET /",
        headers: &[
            ("My-Header1", "value2"),
            ("My-Header1", "value2"),
            ("My-Header1", "value1"),
        ],
        signed: "host;my-header1;x-amz-date",
        signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ..VANILLA
    },
    Vector {
        name: "get-header-value-multiline",
        request: "GET /",
        headers: &[("My-Header1", "value1\n  value2\n     value3")],
        signed: "host;my-header1;x-amz-date",
        signature: "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd",
        ..VANILLA
    },
    Vector {
        name: "get-header-value-order",
        request: "GET /",
        headers: &[
            ("My-Header1", "value4"),
            ("My-Header1", "value1"),
            ("My-Header1", "value3"),
            ("My-Header1", "value2"),
        ],
        signed: "host;my-header1;x-amz-date",
        signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        ..VANILLA
    },
    Vector {
        name: "get-header-value-trim",
        request: "GET /",
        headers: &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
        signed: "host;my-header1;my-header2;x-amz-date",
        signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ..VANILLA
    },
    Vector {
        name: "get-relative-relative-unnormalized",
        request: "GET /example1/example2/../..",
        signature: "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b",
        ..VANILLA
    },
    Vector {
        name: "get-relative-unnormalized",
        request: "GET /example/..",
        signature: "eca7ead57bb5aa5c8e28007acd4ff04e1ff9a0ff3b237ec1554a184887ff9282",
        ..VANILLA
    },
    Vector {
        name: "get-slash-dot-slash-unnormalized",
        request: "GET /./",
        signature: "68714168e6557f8f2de0ef956fc24dc2593a4bd2961f8df51898d8a134695145",
        ..VANILLA
    },
    Vector {
        name: "get-slash-pointless-dot-unnormalized",
        request: "GET /./example",
        signature: "beb03f223f7deae4146464f06e29eebbee9c8afbe15c290cf07aa8b119e14cff",
        ..VANILLA
    },
    Vector {
        name: "get-slash-unnormalized",
        request: "GET //",
        signature: "c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e",
        ..VANILLA
    },
    Vector {
        name: "get-slashes-unnormalized",
        request: "GET //example//",
        signature: "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
        ..VANILLA
    },
    Vector {
        name: "get-space-normalized",
        request: "GET /example space/",
        signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ..VANILLA
    },
    Vector {
        name: "get-space-unnormalized",
        request: "GET /example space/",
        signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ..VANILLA
    },
    Vector {
        name: "get-unreserved",
        request: "GET /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ..VANILLA
    },
    Vector {
        name: "get-utf8",
        request: "GET /ሴ",
        signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ..VANILLA
    },
    Vector {
        name: "get-vanilla",
        request: "GET /",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ..VANILLA
    },
    Vector {
        name: "get-vanilla-empty-query-key",
        request: "GET /?Param1=value1",
        signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ..VANILLA
    },
    Vector {
        name: "get-vanilla-query",
        request: "GET /",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ..VANILLA
    },
    Vector {
        name: "get-vanilla-query-order-encoded",
        request: "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        ..VANILLA
    },
    Vector {
        name: "get-vanilla-query-order-key-case",
        request: "GET /?Param2=value2&Param1=value1",
        signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ..VANILLA
    },
    Vector {
        name: "get-vanilla-query-unreserved",
        request: "GET /?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\
            =-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ..VANILLA
    },
    Vector {
        name: "get-vanilla-utf8-query",
        request: "GET /?ሴ=bar",
        signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ..VANILLA
    },
    Vector {
        name: "get-vanilla-with-session-token",
        request: "GET /",
        headers: &[(
            "X-Amz-Security-Token",
            "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
        )],
        signed: "host;x-amz-date;x-amz-security-token",
        signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        ..VANILLA
    },
    Vector {
        name: "post-header-key-case",
        request: "POST /",
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ..VANILLA
    },
    Vector {
        name: "post-header-key-sort",
        request: "POST /",
        headers: &[("My-Header1", "value1")],
        signed: "host;my-header1;x-amz-date",
        signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ..VANILLA
    },
    Vector {
        name: "post-header-value-case",
        request: "POST /",
        headers: &[("My-Header1", "VALUE1")],
        signed: "host;my-header1;x-amz-date",
        signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ..VANILLA
    },
    Vector {
        name: "post-sts-header-after",
        request: "POST /",
        headers: &[("X-Amz-Security-Token", TOKEN)],
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ..VANILLA
    },
    Vector {
        name: "post-sts-header-before",
        request: "POST /",
        headers: &[("X-Amz-Security-Token", TOKEN)],
        signed: "host;x-amz-date;x-amz-security-token",
        signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ..VANILLA
    },
    Vector {
        name: "post-vanilla",
        request: "POST /",
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ..VANILLA
    },
    Vector {
        name: "post-vanilla-empty-query-value",
        request: "POST /?Param1=value1",
        signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ..VANILLA
    },
    Vector {
        name: "post-vanilla-query",
        request: "POST /?Param1=value1",
        signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ..VANILLA
    },
    Vector {
        name: "post-x-www-form-urlencoded",
        request: "POST /",
        headers: &[
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", "13"),
            (
                "x-amz-content-sha256",
                "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
            ),
        ],
        signed: "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
        body: "Param1=value1",
        signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
    },
    Vector {
        name: "post-x-www-form-urlencoded-parameters",
        request: "POST /",
        headers: &[
            (
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("Content-Length", "13"),
            (
                "x-amz-content-sha256",
                "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
            ),
        ],
        signed: "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
        body: "Param1=value1",
        signature: "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
    },
];

/// The examples of clients that resolve the path before they sign it: name, request as it is sent,
/// as it is signed, signature.
const NORMALIZED: [[&str; 4]; 6] = [
    [
        "get-relative-normalized",
        "GET /example/..",
        "GET /",
        OF_ROOT,
    ],
    [
        "get-relative-relative-normalized",
        "GET /example1/example2/../..",
        "GET /",
        OF_ROOT,
    ],
    [
        "get-slash-dot-slash-normalized",
        "GET /./",
        "GET /",
        OF_ROOT,
    ],
    ["get-slash-normalized", "GET //", "GET /", OF_ROOT],
    [
        "get-slash-pointless-dot-normalized",
        "GET /./example",
        "GET /example",
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
    ],
    [
        "get-slashes-normalized",
        "GET //example//",
        "GET /example/",
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ],
];
const OF_ROOT: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

const SCOPE: Scope<'_> = Scope {
    region: "us-east-1",
    service: "service",
};
/// 20150830T123600Z
const NOW: Timestamp = Timestamp::from_ms(1_440_938_160_000);

/// What the server answers to an example, changed by the caller or not.
fn answer(
    vector: &Vector,
    authorization: &[u8],
    scope: &Scope<'_>,
    now: Timestamp,
) -> Result<String, ApiError> {
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let (method, target) = vector.request.split_once(' ').expect("method and target");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers: Vec<(&str, &[u8])> = vec![
        ("Host", b"example.amazonaws.com"),
        ("X-Amz-Date", b"20150830T123600Z"),
        ("Authorization", authorization),
    ];
    headers.extend(
        vector
            .headers
            .iter()
            .map(|&(name, value)| (name, value.as_bytes())),
    );
    let payload = Payload::Whole(vector.body.as_bytes());
    let request = SignedRequest {
        method,
        path,
        query,
        headers: &headers,
        payload,
    };
    verify(&request, scope, now, |key| {
        (key == "AKIDEXAMPLE").then_some(&secret)
    })
    .map(str::to_owned)
}

fn authorization(vector: &Vector) -> String {
    let Vector {
        signed, signature, ..
    } = vector;
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders={signed}, Signature={signature}"
    )
}

fn vector(name: &str) -> &'static Vector {
    VECTORS
        .iter()
        .find(|vector| vector.name == name)
        .expect(name)
}

#[test]
fn every_example_verifies() {
    for vector in VECTORS {
        let answer = answer(vector, authorization(vector).as_bytes(), &SCOPE, NOW);
        assert_eq!(answer.as_deref(), Ok("AKIDEXAMPLE"), "{}", vector.name);
    }
}

/// No operation has a path that could be resolved: as it is sent, such a request is refused.
#[test]
fn a_path_is_taken_as_it_is_sent() {
    for [name, sent, signed, signature] in NORMALIZED {
        let verify = |request| {
            let vector = Vector {
                request,
                signature,
                ..VANILLA
            };
            let header = authorization(&vector);
            let answer = answer(&vector, header.as_bytes(), &SCOPE, NOW);
            answer.map_err(|error| error.kind())
        };
        assert!(verify(signed).is_ok(), "{name}");
        assert_eq!(verify(sent), Err(ErrorKind::InvalidSignature), "{name}");
    }
}

#[test]
fn each_cause_has_its_error() {
    let vanilla = vector("get-vanilla");
    let good = authorization(vanilla);
    let kind = |header: &str, scope: &Scope<'_>, now| {
        answer(vanilla, header.as_bytes(), scope, now)
            .expect_err("refused")
            .kind()
    };
    let bad_key = good.replace("AKIDEXAMPLE", "AKIDANOTHER");
    let bad_day = good.replace("/20150830/", "/20150831/");
    let elsewhere = Scope {
        region: "eu-west-1",
        ..SCOPE
    };
    let other_service = Scope {
        service: "kinesisvideo",
        ..SCOPE
    };
    let later = |ms| Timestamp::from_ms(NOW.as_ms() + ms);
    assert_eq!(
        kind("Basic abc", &SCOPE, NOW),
        ErrorKind::IncompleteSignature
    );
    assert_eq!(kind(&bad_key, &SCOPE, NOW), ErrorKind::UnrecognizedClient);
    assert_eq!(kind(&bad_day, &SCOPE, NOW), ErrorKind::InvalidSignature);
    assert_eq!(kind(&good, &elsewhere, NOW), ErrorKind::InvalidSignature);
    assert_eq!(
        kind(&good, &other_service, NOW),
        ErrorKind::InvalidSignature
    );
    assert_eq!(
        kind(&good, &SCOPE, later(SKEW_MS_MAX + 1)),
        ErrorKind::RequestExpired
    );
    assert!(answer(vanilla, good.as_bytes(), &SCOPE, later(SKEW_MS_MAX)).is_ok());
    let early = Timestamp::from_ms(NOW.as_ms() - SKEW_MS_MAX - 1);
    assert_eq!(kind(&good, &SCOPE, early), ErrorKind::RequestExpired);
    let early = Timestamp::from_ms(NOW.as_ms() - SKEW_MS_MAX);
    assert!(answer(vanilla, good.as_bytes(), &SCOPE, early).is_ok());
    let unsigned_host = good.replace("host;", "");
    assert_eq!(
        kind(&unsigned_host, &SCOPE, NOW),
        ErrorKind::InvalidSignature
    );
    let absent = good.replace("host;", "host;x-absent;");
    assert_eq!(kind(&absent, &SCOPE, NOW), ErrorKind::InvalidSignature);
}

#[test]
fn without_a_signature_one_is_asked_for() {
    let headers: [(&str, &[u8]); 1] = [("Host", b"example.amazonaws.com")];
    let payload = Payload::Whole(b"");
    let request = SignedRequest {
        method: "GET",
        path: "/",
        query: "",
        headers: &headers,
        payload,
    };
    let error = verify(&request, &SCOPE, NOW, |_| None).expect_err("unsigned");
    assert_eq!(error.kind(), ErrorKind::MissingAuthenticationToken);
    let presigned = SignedRequest {
        query: "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00",
        ..request
    };
    let error = verify(&presigned, &SCOPE, NOW, |_| None).expect_err("signed elsewhere");
    assert_eq!(error.kind(), ErrorKind::MissingAuthenticationToken);
    assert!(error.message().contains("in the query"), "{error}");
}

#[test]
fn a_body_that_is_not_the_hashed_one_is_refused() {
    let form = vector("post-x-www-form-urlencoded");
    let changed = Vector {
        body: "Param1=value2",
        ..*form
    };
    let error = answer(&changed, authorization(form).as_bytes(), &SCOPE, NOW).expect_err("changed");
    assert_eq!(error.kind(), ErrorKind::InvalidSignature);
    assert!(error.message().contains("x-amz-content-sha256"));
}

proptest! {
    #[test]
    fn nothing_arbitrary_is_accepted(header: Vec<u8>) {
        prop_assert!(answer(vector("get-vanilla"), &header, &SCOPE, NOW).is_err());
    }
}
