//! What a program prints, line by line, whatever bytes it prints.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// What is longer is given in pieces: a program that ends no line must not fill our memory.
const LONGEST: usize = 64 * 1024;

/// Lines of a program's output. One that is no text is read as far as it is: a program must not fail
/// because we can't read it.
#[derive(Debug)]
pub struct Lines<R> {
    source: BufReader<R>,
    ended_by_return: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of `source`.
    pub fn of(source: R) -> Self {
        Self { source: BufReader::new(source), ended_by_return: false }
    }

    /// The next one, without its end; `None` at the end of the output. A carriage return ends one too: what
    /// draws its progress over itself prints nothing else for long.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        loop {
            let read = self.source.fill_buf().await?;
            if read.is_empty() {
                return Ok((!bytes.is_empty()).then(|| text(&bytes)));
            }
            let end = read.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let length = end.map_or(read.len(), |end| end + 1);
            bytes.extend_from_slice(&read[..length]);
            self.source.consume(length);
            // The second half of a line end of two signs.
            let is_rest = bytes == *b"\n" && std::mem::take(&mut self.ended_by_return);
            if is_rest {
                bytes.clear();
                continue;
            }
            if end.is_some() || bytes.len() >= LONGEST {
                self.ended_by_return = bytes.ends_with(b"\r");
                return Ok(Some(text(&bytes)));
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches(['\n', '\r']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Lines};

    async fn lines(output: &[u8]) -> Vec<String> {
        let (mut lines, mut all) = (Lines::of(output), Vec::new());
        while let Some(line) = lines.next().await.expect("it can be read") {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn a_line_ends_where_a_terminal_goes_back_to_its_beginning() {
        assert_eq!(lines(b"one\ntwo\r\n10 %\r20 %\r\n\nlast").await, ["one", "two", "10 %", "20 %", "", "last"]);
        assert_eq!(lines(b"").await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn output_that_ends_no_line_comes_in_pieces() {
        let all = lines(&vec![b'x'; 5 * LONGEST / 2]).await;
        assert!(all.iter().all(|piece| piece.len() < 2 * LONGEST) && all.len() >= 2, "{}", all.len());
        assert_eq!(all.concat().len(), 5 * LONGEST / 2);
    }
}
