//! Which hosts the server answers to, and what base URL it gives out.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::{Authority, Uri};
use kvs_protocol::{ApiError, ErrorKind};

use crate::config::Config;
use crate::cors::Origins;
use crate::start_error::StartError;

/// The names of this server.
#[derive(Debug)]
pub(crate) struct Hosts {
    scheme: &'static str,
    address: SocketAddr,
    /// Without a slash at its end.
    public_url: Option<String>,
    public_host: Option<String>,
    origins: Origins,
    /// Whether a signature guards the server, so that names need not.
    signed: bool,
}

impl Hosts {
    /// # Errors
    /// The public URL, or an origin, is none.
    pub(crate) fn new(config: &Config, address: SocketAddr) -> Result<Self, StartError> {
        let public = config.public_url.as_deref().map(public_url).transpose()?;
        let (public_url, public_host) = public.unzip();
        Ok(Self {
            scheme: if config.tls.is_some() {
                "https"
            } else {
                "http"
            },
            address,
            public_url,
            public_host,
            origins: Origins::new(config)?,
            signed: config.credentials.is_some(),
        })
    }

    /// The URL of this server for the client that sent these headers, or for anybody.
    ///
    /// A Host without a port gets the port of the connection: AWS's C++ and Java clients leave
    /// it out.
    pub(crate) fn base_url(&self, headers: Option<&HeaderMap>) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let scheme = self.scheme;
        match headers.and_then(host) {
            Some(host) => {
                let port = host.port_u16().unwrap_or(self.address.port());
                format!("{scheme}://{}:{port}", host.host())
            }
            None => format!("{scheme}://{}", self.address),
        }
    }

    /// Refuses what a foreign web page could make a browser send to an open server: a request for
    /// another name (DNS rebinding) or from another origin (cross-site posts).
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.signed {
            return Ok(());
        }
        let own = host(headers).is_some_and(|host| self.is_own(host.host()));
        if !own {
            return Err(refused("the Host of the request is not this server's"));
        }
        match headers.get(ORIGIN) {
            Some(origin)
                if !self.is_own_origin(headers, origin.as_bytes())
                    && !self.origins.allows(origin) =>
            {
                Err(refused(
                    "the request comes from a foreign web page (see --allow-origin)",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Pages of other origins that may call.
    pub(crate) fn origins(&self) -> &Origins {
        &self.origins
    }

    fn is_own(&self, host: &str) -> bool {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || address
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback() || ip == self.address.ip())
            || self
                .public_host
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(host))
    }

    fn is_own_origin(&self, headers: &HeaderMap, origin: &[u8]) -> bool {
        let own = |url: String| url.as_bytes().eq_ignore_ascii_case(origin);
        own(self.base_url(None)) || own(self.base_url(Some(headers)))
    }
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(HOST)?.to_str().ok()?.parse().ok()
}

fn refused(why: &str) -> ApiError {
    let message = format!("Refused, because {why} and the server runs without --credentials.");
    ApiError::new(ErrorKind::AccessDenied, message)
}

/// The URL without its slash, and its host.
fn public_url(text: &str) -> Result<(String, String), StartError> {
    let wrong = || StartError::Flag {
        flag: "public-url",
        value: text.into(),
        what: "it has to be http://HOST:PORT or https://HOST:PORT",
    };
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let host = uri.host().ok_or_else(wrong)?;
    let plain = uri.path() == "/" && uri.query().is_none();
    match uri.scheme_str() {
        Some("http" | "https") if plain => Ok((text.trim_end_matches('/').into(), host.into())),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn hosts(config: &Config) -> Hosts {
        Hosts::new(config, ([127, 0, 0, 1], 5600).into()).expect("a good configuration")
    }

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let value = http::HeaderValue::from_static;
        pairs
            .iter()
            .map(|(name, text)| (name.clone(), value(text)))
            .collect()
    }

    #[test]
    fn the_url_is_what_the_client_used_with_a_port_in_any_case() {
        let hosts = hosts(&Config::default());
        for (host, url) in [
            ("127.0.0.1", "http://127.0.0.1:5600"),
            ("localhost:5601", "http://localhost:5601"),
            ("[::1]", "http://[::1]:5600"),
        ] {
            assert_eq!(hosts.base_url(Some(&headers(&[(HOST, host)]))), url);
        }
        assert_eq!(hosts.base_url(None), "http://127.0.0.1:5600");
    }

    #[test]
    fn a_public_url_is_given_out_as_it_is() {
        let config = |url: &str| Config {
            public_url: Some(url.into()),
            ..Config::default()
        };
        let hosts = hosts(&config("https://kvs.example/"));
        let request = headers(&[(HOST, "127.0.0.1")]);
        assert_eq!(hosts.base_url(Some(&request)), "https://kvs.example");
        assert!(hosts.check(&headers(&[(HOST, "kvs.example")])).is_ok());
        for url in ["kvs.example", "ftp://x", "http://x/path", "http://x?y"] {
            assert!(
                Hosts::new(&config(url), ([127, 0, 0, 1], 1).into()).is_err(),
                "{url}"
            );
        }
    }

    #[test]
    fn an_open_server_answers_to_its_own_names_only() {
        let hosts = hosts(&Config::default());
        for own in ["127.0.0.1:5600", "localhost", "[::1]:9", "LOCALHOST:5600"] {
            assert!(hosts.check(&headers(&[(HOST, own)])).is_ok(), "{own}");
        }
        for foreign in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
            assert!(
                hosts.check(&headers(&[(HOST, foreign)])).is_err(),
                "{foreign}"
            );
        }
        assert!(hosts.check(&HeaderMap::new()).is_err());
        let from = |origin| headers(&[(HOST, "localhost:5600"), (ORIGIN, origin)]);
        assert!(hosts.check(&from("http://localhost:5600")).is_ok());
        assert!(hosts.check(&from("http://evil.example")).is_err());
        assert!(hosts.check(&from("null")).is_err());
    }

    #[test]
    fn signatures_make_names_unimportant() {
        let hosts = Hosts {
            signed: true,
            ..hosts(&Config::default())
        };
        assert!(hosts.check(&headers(&[(HOST, "anything")])).is_ok());
    }
}
