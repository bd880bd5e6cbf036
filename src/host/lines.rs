//! What a program prints, line by line, whatever bytes it prints.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Lines of a program's output. One that is no text is read as far as it is: a program must not fail
/// because we can't read it.
#[derive(Debug)]
pub struct Lines<R> {
    source: BufReader<R>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of `source`.
    pub fn of(source: R) -> Self {
        Self { source: BufReader::new(source) }
    }

    /// The next one, without its end; `None` at the end of the output.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        if self.source.read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&bytes);
        Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
    }
}
