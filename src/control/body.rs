//! The bodies of requests, as far as they may go: in size, in time, and all of them together.

use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::protocol::Fault;

/// The largest body: an `up` carries the values that its stack mentions, and the kernel gives no process
/// more than some megabytes of environment.
const LARGEST: usize = 1 << 20;
/// What anybody may send at any time: the command line's own requests are a tenth of that, unless they
/// carry values.
const SMALL: usize = 16 << 10;
/// How many may be larger than that at once; the next one waits, within its time. All in all bodies take
/// `PLACES` times `SMALL` and this many times `LARGEST`: 12 MiB.
const LARGE_AT_ONCE: usize = 8;

/// Bodies that are being read.
#[derive(Debug)]
pub(super) struct Bodies {
    large: Semaphore,
}

/// A body, and its part of what all may take.
#[derive(Debug)]
pub(super) struct Read<'b> {
    /// The bytes.
    pub bytes: Bytes,
    /// Held for as long as they are.
    _large: Option<SemaphorePermit<'b>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { large: Semaphore::new(LARGE_AT_ONCE) }
    }
}

impl Bodies {
    /// Reads a body, which must come within `limit`.
    pub async fn read(&self, body: Incoming, limit: Duration) -> Result<Read<'_>, Fault> {
        if body.size_hint().lower() > LARGEST as u64 {
            return Err(too_large());
        }
        let read = tokio::time::timeout(limit, self.collect(body)).await;
        read.unwrap_or_else(|_| Err(refused(format!("the request did not come within {} s", limit.as_secs()))))
    }

    async fn collect(&self, mut body: Incoming) -> Result<Read<'_>, Fault> {
        let (mut bytes, mut large) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| refused("the request broke off".into()))?;
            let Ok(piece) = frame.into_data() else { continue };
            let size = bytes.len() + piece.len();
            if size > LARGEST {
                return Err(too_large());
            }
            if size > SMALL && large.is_none() {
                large = self.large.acquire().await.ok();
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Read { bytes: bytes.freeze(), _large: large })
    }
}

fn too_large() -> Fault {
    refused(format!("the request is larger than {LARGEST} bytes"))
}

fn refused(message: String) -> Fault {
    Fault::usage(message)
}
