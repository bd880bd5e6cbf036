//! What the address of an external Postgres asks of TLS, in the words and with the meaning of libpq.

use std::path::PathBuf;

/// `sslmode`: how much of TLS there must be. From weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TlsMode {
    /// None.
    Disable,
    /// Where the server speaks it. Also for `allow`, which differs in what is tried first.
    #[default]
    Prefer,
    /// Always. The server is only checked where a root certificate is named.
    Require,
    /// Always, and its certificate is signed by a root that is trusted.
    VerifyCa,
    /// As `VerifyCa`, and the certificate is for the name in the address.
    VerifyFull,
}

impl TlsMode {
    const WORDS: [(&str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Prefer),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// The word in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// `sslrootcert`: whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Whom this machine trusts (`system`).
    System,
    /// The certificates of a PEM file; a relative path is relative to the stack's directory.
    File(PathBuf),
}

/// What an address asks of TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsWish {
    /// How much of it there must be.
    pub mode: TlsMode,
    /// Whom to trust, where the address says so.
    pub roots: Option<Roots>,
}

/// An option of an address that can't be carried out. No other part of the address is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsWishError {
    /// No `sslmode` of libpq.
    #[error("its url says sslmode={0}: write disable, prefer, require, verify-ca or verify-full")]
    Mode(String),
    /// An option that witwd does not have.
    #[error("its url says {0}: of the options of TLS witwd knows sslmode, sslrootcert and sslnegotiation")]
    Unknown(String),
    /// Libpq refuses it too: the system's roots sign for anybody.
    #[error("its url says sslmode={} with sslrootcert=system: write sslmode=verify-full", .0.as_str())]
    Weak(TlsMode),
}

impl TlsWish {
    /// What `url` asks of TLS, and the rest of it without that.
    pub fn split(url: &str) -> Result<(Self, String), TlsWishError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "sslmode" => mode = Some(mode_of(value)?),
                "sslrootcert" => roots = roots_of(&decode(value)),
                "sslnegotiation" => rest.push(pair),
                _ if key.starts_with("ssl") => return Err(TlsWishError::Unknown(key.to_owned())),
                _ => rest.push(pair),
            }
        }
        let wish = match (mode, roots) {
            (None | Some(TlsMode::VerifyFull), Some(Roots::System)) => {
                Self { mode: TlsMode::VerifyFull, roots: Some(Roots::System) }
            }
            (Some(mode), Some(Roots::System)) => return Err(TlsWishError::Weak(mode)),
            (mode, roots) => Self { mode: mode.unwrap_or_default(), roots },
        };
        let rest = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        Ok((wish, rest))
    }

    /// The roots that the server is checked against; `None`: it is not checked.
    pub fn trusted(&self) -> Option<&Roots> {
        let verified = self.mode >= TlsMode::VerifyCa;
        self.roots.as_ref().or(verified.then_some(&Roots::System))
    }
}

fn mode_of(word: &str) -> Result<TlsMode, TlsWishError> {
    let known = TlsMode::WORDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, mode)| *mode).ok_or_else(|| TlsWishError::Mode(word.to_owned()))
}

fn roots_of(value: &str) -> Option<Roots> {
    match value {
        "" => None,
        "system" => Some(Roots::System),
        path => Some(Roots::File(path.into())),
    }
}

/// The text of a part of an address, with `%41` read as `A`.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
