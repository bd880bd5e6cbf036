//! TLS to servers elsewhere. `require` without a root certificate checks nobody, `verify-ca` checks
//! who signed, `verify-full` also the name: as libpq does, so that an address means the same to the
//! app and to us.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::{Config, SslMode, SslNegotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::model::tls::{Roots, TlsMode, TlsWish};

/// What a server that is asked directly (`sslnegotiation=direct`) must be told.
const PROTOCOL: &[u8] = b"postgresql";

/// Sets what `wish` says of TLS, and makes what speaks it; `None`: nothing is to speak it. The error
/// is for people: only they can mend it. Reads the root certificates anew each time, for they may
/// have been renewed.
pub(super) fn connector(config: &mut Config, wish: &TlsWish, directory: &Path) -> Result<Option<MakeRustlsConnect>, String> {
    config.ssl_mode(match wish.mode {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
    });
    if wish.mode == TlsMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = wish.trusted().map(|roots| Trusted::read(roots, directory)).transpose()?;
    let check = Check { roots, name: wish.mode == TlsMode::VerifyFull, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("failed to set up TLS: {error}"))?;
    let mut client = builder.dangerous().with_custom_certificate_verifier(Arc::new(check)).with_no_client_auth();
    if config.get_ssl_negotiation() == SslNegotiation::Direct {
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
    }
    Ok(Some(MakeRustlsConnect::new(client)))
}

/// Certificates that are trusted: as roots of others, and as they are.
#[derive(Debug)]
struct Trusted {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

impl Trusted {
    fn read(roots: &Roots, directory: &Path) -> Result<Self, String> {
        let certificates = match roots {
            Roots::System => rustls_native_certs::load_native_certs().certs,
            Roots::File(path) => {
                let path = directory.join(path);
                let failed = |why: String| format!("failed to read sslrootcert {}: {why}", path.display());
                let content = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
                let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
                let parsed = parsed.map_err(|error| failed(error.to_string()))?;
                if parsed.is_empty() {
                    return Err(failed("no certificate is in it".to_owned()));
                }
                parsed
            }
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        if store.is_empty() {
            return Err(
                "this machine trusts no root certificate: install ca-certificates, or name one with sslrootcert".to_owned()
            );
        }
        Ok(Self { store, certificates })
    }
}

/// Checks servers as far as the address asks for it.
#[derive(Debug)]
struct Check {
    /// `None`: whoever it is.
    roots: Option<Trusted>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl Check {
    fn signed(
        &self,
        roots: &Trusted,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(certificate)?;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &roots.store, intermediates, now, algorithms) {
            // A certificate that signed itself is marked as one that signs others, and webpki takes
            // none of those for a server's, after it has looked at the dates. Libpq takes the very
            // certificate that it was told to trust.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if roots.certificates.contains(certificate) => Ok(()),
            verified => verified,
        }
    }
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            self.signed(roots, certificate, intermediates, now)?;
        }
        if self.name {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Whoever may have any certificate has the key of one: there is nothing to prove.
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What stands between us and a server that speaks TLS otherwise than `wish` says, in words; `None`
/// where an attempt to connect failed for another reason.
pub(super) fn misfit(error: &tokio_postgres::Error, wish: &TlsWish) -> Option<String> {
    let source = error.source()?;
    if source.to_string() == "server does not support TLS" {
        return Some(format!("the server does not speak TLS, and its url says sslmode={}", wish.mode.as_str()));
    }
    let io = source.downcast_ref::<std::io::Error>()?;
    let words = match io.get_ref()?.downcast_ref::<Error>()? {
        // A bad signature: one of that name is trusted, and it did not sign this.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            format!("its certificate is not signed by {}", signers(wish))
        }
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }) => {
            let names = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            format!("its certificate is not for {} but for {names} (only a subjectAltName counts)", expected.to_str())
        }
        other => format!("TLS failed: {other}"),
    };
    Some(format!("{words}; its url says sslmode={}", wish.mode.as_str()))
}

fn signers(wish: &TlsWish) -> String {
    match wish.trusted() {
        Some(Roots::File(path)) => format!("one in sslrootcert {}", path.display()),
        _ => "one that this machine trusts (sslrootcert names another)".to_owned(),
    }
}
