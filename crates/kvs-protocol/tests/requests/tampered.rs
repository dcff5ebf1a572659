//! No signed request verifies after one of its signed bytes has changed.
//!
//! White space that folds and the case of header names may change: signatures do not cover them.

use crate::recorded::{Recorded, all, is_refusal};

/// By how many values a byte is replaced if the tests are to be short.
const FLIPS: [u8; 4] = [0x01, 0x02, 0x20, 0x80];
/// As many headers are tried as the service would see of somebody who guesses for a while.
const MUTATED_HEADERS: usize = 100_000;

fn is_long() -> bool {
    std::env::var_os("KVS_LONG_TESTS").is_some()
}

/// What a byte is replaced by: a few values near it, or all.
fn replacements(byte: u8) -> Vec<u8> {
    if is_long() {
        (0..=u8::MAX).filter(|other| *other != byte).collect()
    } else {
        FLIPS.iter().map(|flip| byte ^ flip).collect()
    }
}

/// Every text of the same length with one byte changed.
fn tampered(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..text.len()).flat_map(move |at| {
        replacements(text[at]).into_iter().map(move |byte| {
            let mut changed = text.to_vec();
            changed[at] = byte;
            changed
        })
    })
}

/// The same, of what can only be text.
fn tampered_text(text: &str) -> impl Iterator<Item = String> {
    tampered(text.as_bytes()).filter_map(|changed| String::from_utf8(changed).ok())
}

/// A header's value as it is signed.
fn folded(value: &[u8]) -> Vec<&[u8]> {
    let words = value.split(u8::is_ascii_whitespace);
    words.filter(|word| !word.is_empty()).collect()
}

fn assert_refused(request: &Recorded, what: &str) {
    match request.verify() {
        Ok(_) => panic!(
            "{}: a changed {what} is accepted: {request:?}",
            request.name
        ),
        Err(error) => assert!(is_refusal(&error), "{}: {error}", request.name),
    }
}

/// Changes one part of the request in every way, and gives how many that were.
fn refuses<T>(
    request: &Recorded,
    what: &str,
    values: impl Iterator<Item = T>,
    change: impl Fn(&mut Recorded, T),
) -> usize {
    let mut count = 0;
    for value in values {
        let mut changed = request.clone();
        change(&mut changed, value);
        assert_refused(&changed, what);
        count += 1;
    }
    count
}

fn signed_headers(request: &Recorded) -> Vec<usize> {
    let authorization = request.authorization();
    let (_, list) = authorization
        .split_once("SignedHeaders=")
        .expect("a list of headers");
    let (list, _) = list.split_once(',').expect("more follows");
    let position = |name: &str| {
        let is = |header: &(String, _)| header.0.eq_ignore_ascii_case(name);
        request.headers.iter().position(is).expect("it is there")
    };
    list.split(';').map(position).collect()
}

#[test]
fn a_changed_request_line_is_refused() {
    for request in all() {
        let method = tampered_text(&request.method);
        refuses(&request, "method", method, |to, method| to.method = method);
        let path = tampered_text(&request.path);
        // A PutMedia on another path has a body with an end.
        refuses(&request, "path", path, |to, path| to.path = path);
        let query = tampered_text(&request.query).filter(|query| !is_same(query, &request.query));
        refuses(&request, "query", query, |to, query| to.query = query);
        let added = ["a=1", "=", "X-Amz-Date=20261123T070000Z"];
        refuses(&request, "query", added.into_iter(), |to, query| {
            to.query += "&";
            to.query += query;
        });
    }
}

/// Whether two queries have the same parameters: the case of an encoded byte's digits is free.
fn is_same(query: &str, other: &str) -> bool {
    let encoded = |text: &str| {
        let mut parts = text.split('%');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
            text + "%" + &digits.to_ascii_uppercase() + rest
        })
    };
    encoded(query) == encoded(other)
}

#[test]
fn a_changed_signed_header_is_refused() {
    for request in all() {
        for at in signed_headers(&request) {
            let (name, value) = &request.headers[at];
            let names = tampered_text(name).filter(|other| !other.eq_ignore_ascii_case(name));
            let tried = refuses(&request, name, names, |to, name| to.headers[at].0 = name);
            assert!(tried >= name.len());
            let values = tampered(value).filter(|other| folded(other) != folded(value));
            let tried = refuses(&request, name, values, |to, value| to.headers[at].1 = value);
            assert!(tried >= value.trim_ascii().len());
            refuses(&request, name, [()].into_iter(), |to, ()| {
                to.headers.remove(at);
            });
            refuses(&request, name, [()].into_iter(), |to, ()| {
                let again = to.headers[at].clone();
                to.headers.push(again);
            });
        }
    }
}

#[test]
fn a_changed_body_is_refused() {
    for request in all().iter().filter(|request| !request.is_stream()) {
        let bodies = tampered(&request.body);
        let tried = refuses(request, "body", bodies, |to, body| to.body = body);
        assert!(tried >= request.body.len());
        refuses(request, "body", 0..request.body.len(), |to, len| {
            to.body.truncate(len);
        });
        refuses(request, "body", [b' '].into_iter(), |to, byte| {
            to.body.push(byte);
        });
    }
}

/// Key, date, region, service, the names of the headers, and the signature itself.
#[test]
fn a_changed_byte_of_the_authorization_is_refused() {
    for request in all() {
        let header = request.authorization();
        for changed in tampered(header.as_bytes()) {
            // White space before and after is not part of a header.
            if changed.trim_ascii() == header.as_bytes().trim_ascii() {
                continue;
            }
            let Err(error) = request.verify_signed_as(&changed) else {
                let changed = String::from_utf8_lossy(&changed);
                panic!("{}: accepted: {changed}", request.name);
            };
            assert!(is_refusal(&error), "{}: {error}", request.name);
        }
    }
}

#[test]
fn white_space_that_folds_and_the_case_of_names_may_change() {
    for request in all() {
        let mut changed = request.clone();
        for at in signed_headers(&request) {
            let (name, value) = &mut changed.headers[at];
            *name = name.to_ascii_uppercase();
            let text = String::from_utf8(value.clone()).expect("text");
            *value = format!("\t {} ", text.replace(' ', "  ")).into_bytes();
        }
        assert!(changed.verify().is_ok(), "{}", request.name);
        let spaced = request.authorization().replace(", ", ",   ");
        assert!(request.verify_signed_as(spaced.as_bytes()).is_ok());
        // That is blanks and tabs, and not all that a text may have for white space.
        let odd = format!("\u{b}{}", request.authorization().trim());
        assert!(request.verify_signed_as(odd.as_bytes()).is_err());
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let (a, b) = (self.below(len + 1), self.below(len + 1));
        a.min(b)..a.max(b)
    }
}

/// One to four changes of the kinds that a broken or a hostile client makes.
fn mutate(random: &mut Random, header: &[u8], other: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"=,;/ \t\0\xff%aZ09";
    let mut out = header.to_vec();
    for _ in 0..=random.below(4) {
        let range = random.range(out.len());
        let at = range.start;
        match random.below(7) {
            0 if at < out.len() => out[at] = random.below(256) as u8,
            1 => out.insert(at, ALPHABET[random.below(ALPHABET.len())]),
            2 => drop(out.drain(range)),
            3 => {
                let part = out[range].to_vec();
                out.splice(at..at, part);
            }
            4 => {
                let end = range.end.min(other.len());
                let from_other = other[at.min(end)..end].to_vec();
                out.splice(range, from_other);
            }
            5 => out[range].reverse(),
            _ => {
                // Parameters change places, or words do.
                let separator = [b',', b';', b'/', b'='][random.below(4)];
                let mut words: Vec<_> = out.split(|byte| *byte == separator).collect();
                let (a, b) = (random.below(words.len()), random.below(words.len()));
                words.swap(a, b);
                out = words.join(&separator);
            }
        }
    }
    out
}

/// What the header says: parameters come in any order with any blanks between them.
fn said(header: &[u8]) -> Vec<Vec<u8>> {
    let text = header.trim_ascii().strip_prefix(b"AWS4-HMAC-SHA256 ");
    let parameters = text.unwrap_or(header).split(|byte| *byte == b',');
    let mut said: Vec<_> = parameters.map(|text| text.trim_ascii().to_vec()).collect();
    said.sort();
    said
}

#[test]
fn no_mutated_authorization_header_is_accepted() {
    let seed = std::env::var("KVS_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(0x5EED);
    eprintln!("no_mutated_authorization_header_is_accepted: KVS_SEED={seed}");
    let mut random = Random(seed);
    let requests = all();
    let mut tried = 0;
    while tried < MUTATED_HEADERS {
        let request = &requests[random.below(requests.len())];
        let other = &requests[random.below(requests.len())].authorization();
        let header = request.authorization();
        let mutated = mutate(&mut random, header.as_bytes(), other.as_bytes());
        if said(&mutated) == said(header.as_bytes()) {
            continue;
        }
        tried += 1;
        let Err(error) = request.verify_signed_as(&mutated) else {
            panic!("accepted: {}", String::from_utf8_lossy(&mutated));
        };
        assert!(is_refusal(&error), "{error}");
    }
}
