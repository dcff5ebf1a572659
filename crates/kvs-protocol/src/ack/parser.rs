//! A push parser for acknowledgements: bytes in as the network cut them, acks out.

use super::{Ack, read};

/// No acknowledgement is longer. AWS's own readers stop at 1024 bytes; whoever sends more than
/// this without end is no KVS.
pub const ACK_BYTES_MAX: usize = 4096;

/// The response body holds something that is no acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent something that is no acknowledgement, {offset} bytes into its response")]
pub struct MalformedAck {
    /// Where it begins in the response body.
    pub offset: u64,
}

/// Takes a response body in pieces: [`push`](Self::push) each, then [`next_ack`](Self::next_ack)
/// until it gives `None`.
///
/// An acknowledgement ends with its closing brace, so it is there before the next line begins.
/// After an error the parser stays in error: what follows cannot be trusted.
#[derive(Debug, Default)]
pub struct AckParser {
    /// What was pushed and not yet given out; never longer than one acknowledgement and one piece.
    buffer: Vec<u8>,
    /// How much of `buffer` was looked at.
    scanned: usize,
    /// Bytes of the body before `buffer`.
    offset: u64,
    nesting: Nesting,
    error: Option<MalformedAck>,
}

/// Where in a JSON object the parser stands.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl AckParser {
    /// A parser at the beginning of a response body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next acknowledgement, if it is all there. Unknown types of event are passed over.
    pub fn next_ack(&mut self) -> Result<Option<Ack>, MalformedAck> {
        if let Some(error) = self.error {
            return Err(error);
        }
        loop {
            self.drop_blanks();
            let Some(end) = self.find_end()? else {
                return Ok(None);
            };
            let Some(event) = read(&self.buffer[..end]) else {
                return self.fail();
            };
            self.drop_front(end);
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// How long the object is at the front of the buffer, once it is all there.
    fn find_end(&mut self) -> Result<Option<usize>, MalformedAck> {
        if self.buffer.first().is_some_and(|&byte| byte != b'{') {
            return self.fail();
        }
        while let Some(&byte) = self.buffer.get(self.scanned) {
            if self.scanned == ACK_BYTES_MAX {
                return self.fail();
            }
            self.scanned += 1;
            if self.nesting.is_end(byte) {
                return Ok(Some(self.scanned));
            }
        }
        Ok(None)
    }

    /// Blanks and line ends between acknowledgements mean nothing.
    fn drop_blanks(&mut self) {
        if self.scanned == 0 {
            let is_blank = |byte: &&u8| byte.is_ascii_whitespace();
            self.drop_front(self.buffer.iter().take_while(is_blank).count());
        }
    }

    fn drop_front(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.offset += count as u64;
        self.scanned = 0;
    }

    fn fail<T>(&mut self) -> Result<T, MalformedAck> {
        let error = MalformedAck {
            offset: self.offset,
        };
        self.error = Some(error);
        self.buffer = Vec::new();
        Err(error)
    }
}

impl Nesting {
    /// Takes one byte; true if it closes the outermost brace.
    fn is_end(&mut self, byte: u8) -> bool {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' => self.depth += 1,
            b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ack::{AckError, AckedFragment};
    use proptest::prelude::*;

    fn fragment() -> AckedFragment {
        AckedFragment {
            timecode: 1_511_852_108_513,
            number: "91343852333181432392682062607743920146159169392"
                .parse()
                .expect("digits"),
        }
    }

    fn one_of_each() -> Vec<Ack> {
        let AckedFragment { timecode, number } = fragment();
        let error = AckError::InvalidMkvData;
        vec![
            Ack::Buffering(fragment()),
            Ack::Received(fragment()),
            Ack::Persisted(fragment()),
            Ack::Error {
                error,
                timecode: Some(timecode),
                number: Some(number),
            },
            Ack::Error {
                error: AckError::from_id(4999),
                timecode: None,
                number: None,
            },
            Ack::Idle,
        ]
    }

    /// All acknowledgements of a body that comes in those pieces.
    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Ack>, MalformedAck> {
        let mut parser = AckParser::new();
        let mut acks = Vec::new();
        for piece in pieces {
            parser.push(piece);
            while let Some(ack) = parser.next_ack()? {
                acks.push(ack);
            }
        }
        Ok(acks)
    }

    #[test]
    fn the_wire_form_is_that_of_the_service() {
        let lines: String = one_of_each().iter().map(Ack::to_line).collect();
        let fragment = "\"FragmentTimecode\":1511852108513,\"FragmentNumber\":\
                        \"91343852333181432392682062607743920146159169392\"";
        assert_eq!(
            lines,
            format!(
                "{{\"EventType\":\"BUFFERING\",{fragment}}}\r\n\
                 {{\"EventType\":\"RECEIVED\",{fragment}}}\r\n\
                 {{\"EventType\":\"PERSISTED\",{fragment}}}\r\n\
                 {{\"EventType\":\"ERROR\",{fragment},\
                 \"ErrorCode\":\"INVALID_MKV_DATA\",\"ErrorId\":4006}}\r\n\
                 {{\"EventType\":\"ERROR\",\"ErrorCode\":\"UNKNOWN\",\"ErrorId\":4999}}\r\n\
                 {{\"EventType\":\"IDLE\"}}\r\n"
            )
        );
    }

    #[test]
    fn what_is_written_is_read_at_every_split() {
        let lines: String = one_of_each().iter().map(Ack::to_line).collect();
        for at in 0..=lines.len() {
            let (front, back) = lines.as_bytes().split_at(at);
            assert_eq!(parse([front, back]), Ok(one_of_each()), "split at {at}");
        }
        assert_eq!(parse(lines.as_bytes().chunks(1)), Ok(one_of_each()));
    }

    #[test]
    fn an_ack_is_there_before_its_line_ends() {
        let line = Ack::Idle.to_line();
        assert_eq!(parse([line.trim_end().as_bytes()]), Ok(vec![Ack::Idle]));
    }

    #[test]
    fn what_is_unknown_is_passed_over() {
        let body = br#"{"EventType":"NEW","x":{"y":"}\""}}{"EventType":"IDLE","z":[1]}"#;
        assert_eq!(parse([&body[..]]), Ok(vec![Ack::Idle]));
        let text_id = br#"{"EventType":"ERROR","ErrorId":"4006"}"#;
        let error = AckError::InvalidMkvData;
        let ack = Ack::Error {
            error,
            timecode: None,
            number: None,
        };
        assert_eq!(parse([&text_id[..]]), Ok(vec![ack]));
    }

    #[test]
    fn what_is_no_ack_is_an_error_that_stays() {
        for body in [
            "<html>",
            r#"{"EventType":"ERROR"}"#,
            r#"{"EventType":"PERSISTED","FragmentTimecode":1}"#,
            r#"{"EventType":"PERSISTED","FragmentTimecode":1,"FragmentNumber":"x"}"#,
            r#"{"EventType":"IDLE","EventType":"IDLE"}"#,
            "{}",
        ] {
            let mut parser = AckParser::new();
            parser.push(b"\r\n");
            parser.push(body.as_bytes());
            let error = Err(MalformedAck { offset: 2 });
            assert_eq!(parser.next_ack(), error, "{body}");
            parser.push(Ack::Idle.to_line().as_bytes());
            assert_eq!(parser.next_ack(), error, "{body}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut parser = AckParser::new();
        parser.push(br#"{"EventType":""#);
        let pushed = std::iter::repeat_n([b'x'; 100], 2 * ACK_BYTES_MAX / 100);
        let result = pushed.into_iter().try_for_each(|piece| {
            parser.push(&piece);
            parser.next_ack().map(|_| ())
        });
        assert_eq!(result, Err(MalformedAck { offset: 0 }));
        assert!(parser.buffer.is_empty());
    }

    #[test]
    fn ids_and_errors_go_both_ways() {
        for &error in AckError::ALL {
            assert_eq!(AckError::from_id(error.id()), error);
        }
        assert_eq!(AckError::from_id(1), AckError::Unknown(1));
        let too_many = AckError::TooManyTracks;
        assert_eq!(
            AckError::from_id(too_many.id()),
            AckError::InvalidFragmentMetadata
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(pieces: Vec<Vec<u8>>) {
            let _ = parse(pieces.iter().map(Vec::as_slice));
        }
    }
}
