//! Requests that are not carried out, as answers over HTTP.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::protocol::{Failed, Fault};
use crate::supervisor::{Closed, HandError};

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = match self.code.as_str() {
            "usage" => StatusCode::BAD_REQUEST,
            "invalid_file" => StatusCode::UNPROCESSABLE_ENTITY,
            "refused" | "held" => StatusCode::CONFLICT,
            "engine_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, axum::Json(Failed { error: self })).into_response()
    }
}

impl From<Closed> for Fault {
    fn from(closed: Closed) -> Self {
        Self::new("failed", closed.to_string())
    }
}

impl From<HandError> for Fault {
    fn from(error: HandError) -> Self {
        match error {
            HandError::Closed(closed) => closed.into(),
            HandError::Refused(refusal) => {
                let code = if refusal.depends_on_state { "failed" } else { "usage" };
                Self { hint: refusal.hint, ..Self::new(code, refusal.message) }
            }
        }
    }
}
