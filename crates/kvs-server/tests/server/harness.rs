//! A client of raw sockets: it sends exactly the bytes it is told to, and sees each chunk that
//! comes back.

use std::net::SocketAddr;
use std::time::Duration;

use kvs_protocol::{Ack, AckParser};
use kvs_server::{Config, Handle, Server};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// No answer of a server on this machine takes longer; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What is stored is all there when a test reads it back: nothing has to be waited for.
const READER_IDLE: Duration = Duration::from_millis(50);
/// A test that writes while it reads is not cut short, however busy the machine is.
const FOLLOWER_IDLE: Duration = Duration::from_secs(3);

/// Starts a server that keeps everything in memory.
pub(crate) async fn start() -> Handle {
    start_with_idle(READER_IDLE).await
}

/// Starts a server whose readers wait for what is yet to be written.
pub(crate) async fn start_to_follow() -> Handle {
    start_with_idle(FOLLOWER_IDLE).await
}

async fn start_with_idle(idle: Duration) -> Handle {
    let config = Config {
        get_media_idle: Some(idle),
        ..Config::default()
    };
    Server::start(config)
        .await
        .expect("a server in memory starts")
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// A response whose body has not been read.
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    reader: BufReader<OwnedReadHalf>,
    /// Dropped with the response: before, the server sees no end of the request.
    writer: Option<OwnedWriteHalf>,
}

/// A response with its body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The exception's name.
    pub(crate) fn error(&self) -> &str {
        self.header("x-amzn-errortype").unwrap_or("none")
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Reads a response's head, passing over `100 Continue`; says whether there was one.
    async fn read(mut reader: BufReader<OwnedReadHalf>) -> std::io::Result<(Self, bool)> {
        let mut continued = false;
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if soon("a response", reader.read_line(&mut line)).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                if line.trim_end().is_empty() {
                    break;
                }
                head.push(line.trim_end().to_owned());
            }
            let status = head[0].split(' ').nth(1).and_then(|code| code.parse().ok());
            let status = status.expect("a status");
            if status == 100 {
                continued = true;
                continue;
            }
            let headers = head[1..].iter().filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_ascii_lowercase(), value.trim().to_owned()))
            });
            let response = Self {
                status,
                headers: headers.collect(),
                reader,
                writer: None,
            };
            return Ok((response, continued));
        }
    }

    /// The next chunk of a chunked body; `None` at its end, an error if it breaks off.
    pub(crate) async fn chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        soon("a chunk", async {
            let mut size = String::new();
            self.reader.read_line(&mut size).await?;
            let size = usize::from_str_radix(size.trim_end(), 16)
                .map_err(|_| std::io::ErrorKind::UnexpectedEof)?;
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).await?;
            chunk.truncate(size);
            Ok((size > 0).then_some(chunk))
        })
        .await
    }

    /// The whole body.
    pub(crate) async fn body(mut self) -> Reply {
        let mut body = Vec::new();
        if let Some(length) = self.header("content-length") {
            body.resize(length.parse().expect("a length"), 0);
            soon("a body", self.reader.read_exact(&mut body))
                .await
                .expect("a whole body");
        } else {
            while let Some(chunk) = self.chunk().await.expect("a whole body") {
                body.extend(chunk);
            }
        }
        Reply {
            status: self.status,
            headers: self.headers,
            body,
        }
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|header| header.0 == name)
        .map(|header| header.1.as_str())
}

/// Sends a head and a body as they are, and reads the head of the answer.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> Response {
    let sent = try_send(address, request).await;
    sent.expect("a connection that stays")
}

/// The same to a server that may be killed meanwhile.
pub(crate) async fn try_send(address: SocketAddr, request: &[u8]) -> std::io::Result<Response> {
    let (reader, mut writer) = TcpStream::connect(address).await?.into_split();
    writer.write_all(request).await?;
    let (mut response, _) = Response::read(BufReader::new(reader)).await?;
    response.writer = Some(writer);
    Ok(response)
}

/// Calls an operation.
pub(crate) async fn post(address: SocketAddr, path: &str, json: &str) -> Reply {
    open(address, path, json).await.body().await
}

/// Calls an operation whose body is to be read bit by bit.
pub(crate) async fn open(address: SocketAddr, path: &str, json: &str) -> Response {
    send(address, request(address, path, json).as_bytes()).await
}

/// The call of an operation.
pub(crate) fn request(address: SocketAddr, path: &str, json: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    )
}

/// Makes a stream.
pub(crate) async fn create(address: SocketAddr, name: &str, retention_hours: u32) -> String {
    let json = format!(r#"{{"StreamName":"{name}","DataRetentionInHours":{retention_hours}}}"#);
    let reply = post(address, "/createStream", &json).await;
    assert_eq!(
        reply.status,
        200,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    reply.json()["StreamARN"]
        .as_str()
        .expect("an ARN")
        .to_owned()
}

/// A PutMedia under way.
pub(crate) struct Put {
    pub(crate) status: u16,
    pub(crate) continued: bool,
    body: PutBody,
    acks: Acks,
}

/// What goes to the server.
pub(crate) struct PutBody {
    writer: OwnedWriteHalf,
}

/// What comes back.
pub(crate) struct Acks {
    response: Response,
    parser: AckParser,
}

impl PutBody {
    /// Sends a chunk of the body. A server that has already refused it may not take it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let head = format!("{:x}\r\n", bytes.len());
        soon("a write", async {
            self.writer.write_all(head.as_bytes()).await?;
            self.writer.write_all(bytes).await?;
            self.writer.write_all(b"\r\n").await
        })
        .await
    }
}

impl Acks {
    /// The next ack; `None` at the end of the response, an error if that breaks off.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Ack>> {
        let Some(chunk) = self.response.chunk().await? else {
            return Ok(None);
        };
        assert!(
            chunk.len() <= 1024,
            "AWS's clients read no more than that at once"
        );
        self.parser.push(&chunk);
        let ack = self.parser.next_ack().expect("an ack");
        assert!(ack.is_some(), "one chunk is one ack");
        assert_eq!(self.parser.next_ack(), Ok(None), "one chunk is one ack");
        Ok(ack)
    }
}

impl Put {
    /// Opens a PutMedia in the way of AWS's clients.
    pub(crate) async fn open(address: SocketAddr, stream: &str) -> Self {
        Self::with_headers(
            address,
            &format!(
                "x-amzn-stream-name: {stream}\r\nx-amzn-fragment-timecode-type: ABSOLUTE\r\n\
                 Expect: 100-continue\r\n"
            ),
        )
        .await
    }

    /// Opens a PutMedia with these headers, each of which ends its line.
    pub(crate) async fn with_headers(address: SocketAddr, headers: &str) -> Self {
        let head = format!(
            "POST /putMedia HTTP/1.1\r\nHost: {address}\r\nTransfer-Encoding: chunked\r\n\
             {headers}\r\n"
        );
        Self::with_head(address, &head).await
    }

    /// Opens a PutMedia with this head.
    pub(crate) async fn with_head(address: SocketAddr, head: &str) -> Self {
        let put = Self::try_with_head(address, head).await;
        put.expect("a connection that stays")
    }

    /// The same of a server that may be killed meanwhile.
    pub(crate) async fn try_with_head(address: SocketAddr, head: &str) -> std::io::Result<Self> {
        let (reader, mut writer) = TcpStream::connect(address).await?.into_split();
        writer.write_all(head.as_bytes()).await?;
        let (response, continued) = Response::read(BufReader::new(reader)).await?;
        Ok(Self {
            status: response.status,
            continued,
            body: PutBody { writer },
            acks: Acks {
                response,
                parser: AckParser::new(),
            },
        })
    }

    /// See [`PutBody::send`].
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.body.send(bytes).await
    }

    /// The response, which a refusal has in place of acks.
    pub(crate) fn into_response(self) -> Response {
        self.acks.response
    }

    /// A header of the response.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.acks.response.header(name)
    }

    /// Ends the body.
    pub(crate) async fn end(&mut self) {
        // A server that has refused the body has stopped to listen.
        let _ = self.body.writer.write_all(b"0\r\n\r\n").await;
    }

    /// Closes this side of the connection, in the middle of the body.
    pub(crate) async fn break_off(&mut self) {
        self.body
            .writer
            .shutdown()
            .await
            .expect("a socket that is open");
    }

    /// The next ack; `None` at the end of the response.
    pub(crate) async fn ack(&mut self) -> Option<Ack> {
        self.acks.next().await.expect("a whole response")
    }

    /// Both halves, each for a task of its own.
    pub(crate) fn split(self) -> (PutBody, Acks) {
        (self.body, self.acks)
    }

    /// All acks to the end of the response.
    pub(crate) async fn acks(&mut self) -> Vec<Ack> {
        let mut acks = Vec::new();
        while let Some(ack) = self.ack().await {
            acks.push(ack);
        }
        acks
    }

    /// Reads acks until one that is wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Ack) -> bool) -> Ack {
        loop {
            let ack = self
                .ack()
                .await
                .expect("the ack comes before the response ends");
            if wanted(&ack) {
                return ack;
            }
        }
    }
}

/// Uploads a whole body and gives its acks.
pub(crate) async fn upload(address: SocketAddr, stream: &str, body: &[u8]) -> Vec<Ack> {
    let mut put = Put::open(address, stream).await;
    assert_eq!(put.status, 200);
    for chunk in body.chunks(16 * 1024) {
        if put.send(chunk).await.is_err() {
            break;
        }
    }
    put.end().await;
    put.acks().await
}

/// Acks in short: `B1 R1 P1` and `E4006`, fragments counted from 1.
pub(crate) fn short(acks: &[Ack]) -> String {
    let mut numbers = Vec::new();
    let mut nth = |number: &kvs_protocol::FragmentNumber| {
        let known = numbers.iter().position(|seen| seen == number);
        let at = known.unwrap_or_else(|| {
            numbers.push(number.clone());
            numbers.len() - 1
        });
        at + 1
    };
    let words: Vec<_> = acks
        .iter()
        .map(|ack| match ack {
            Ack::Buffering(acked) => format!("B{}", nth(&acked.number)),
            Ack::Received(acked) => format!("R{}", nth(&acked.number)),
            Ack::Persisted(acked) => format!("P{}", nth(&acked.number)),
            Ack::Error { error, number, .. } => match number {
                Some(number) => format!("E{}@{}", error.id(), nth(number)),
                None => format!("E{}", error.id()),
            },
            Ack::Idle => "idle".into(),
            _ => "?".into(),
        })
        .collect();
    words.join(" ")
}
