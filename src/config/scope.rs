//! What `${…}` means: the environment, the stack, and (once they are known) its workloads.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use crate::model::name::{SecretName, WorkloadName};
use crate::model::template::{Part, Template};

use super::EnvOrigin;
use super::catalog::Catalog;
use super::diagnostics::{Diagnostics, Place};
use super::interpolate::{self, Otherwise, Reference, Segment};
use super::suggest::{did_you_mean, list, nearest};
use super::values::{Mistake, named};

/// The variables of `${env.…}`: layers, the first that has a name wins.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Layers with their origin.
    pub layers: Vec<(EnvOrigin, BTreeMap<String, String>)>,
    /// What was asked for and where it came from.
    pub origins: RefCell<BTreeMap<String, EnvOrigin>>,
}

impl Environment {
    fn get(&self, name: &str) -> Option<&str> {
        let (origin, value) =
            self.layers.iter().find_map(|(origin, variables)| variables.get(name).map(|value| (origin, value)))?;
        self.origins.borrow_mut().insert(name.to_owned(), origin.clone());
        Some(value)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().flat_map(|(_, variables)| variables.keys().map(String::as_str))
    }
}

/// Everything a reference may mean.
pub(super) struct Scope<'a> {
    /// Where problems go.
    pub diagnostics: &'a Diagnostics,
    /// `${env.…}`.
    pub environment: &'a Environment,
    /// `${stack.name}`, once it is known.
    pub name: Option<String>,
    /// `${stack.profile}`.
    pub profile: String,
    /// The workloads and secrets, once they are known.
    pub catalog: Option<Catalog>,
    /// Whether what is read belongs to a workload that no profile turns on: unset variables of it
    /// are no error.
    pub dormant: Cell<bool>,
    /// The postgres that were referred to since this was last taken.
    pub uses: RefCell<BTreeSet<WorkloadName>>,
}

/// What a reference came to: a value, nothing (unset), or a mistake that was reported.
enum Outcome {
    Value(Template),
    Unset,
    Reported,
}

impl<'a> Scope<'a> {
    /// A scope of an environment alone.
    pub fn new(diagnostics: &'a Diagnostics, environment: &'a Environment) -> Self {
        Self {
            diagnostics,
            environment,
            name: None,
            profile: String::new(),
            catalog: None,
            dormant: Cell::new(false),
            uses: RefCell::default(),
        }
    }

    /// The string with every reference replaced; `None` where that failed and was reported.
    pub fn template(&self, raw: &str, place: Place) -> Option<Template> {
        match interpolate::parse(raw) {
            Ok(segments) => self.fill(&segments, place),
            Err(errors) => {
                for error in errors {
                    let place = self.diagnostics.within(place, &error.text);
                    self.diagnostics.error(place, error.message, error.hint);
                }
                None
            }
        }
    }

    /// The same, where no secret may stand.
    pub fn text(&self, raw: &str, place: Place) -> Option<String> {
        let template = self.template(raw, place)?;
        if let Some(text) = template.as_text() {
            return Some(text.to_owned());
        }
        let hole = template.holes().next().map(ToString::to_string).unwrap_or_default();
        let spot = Some(self.diagnostics.within(place, &hole)).filter(|spot| *spot != place);
        self.diagnostics.error(
            spot.unwrap_or_else(|| self.diagnostics.within(place, "${")),
            format!("`{hole}` is secret and can't stand here"),
            "secrets may stand in `env`; or list it in `secrets` and read it from /run/secrets/NAME",
        );
        None
    }

    fn fill(&self, segments: &[Segment], place: Place) -> Option<Template> {
        let mut parts = Vec::new();
        let mut whole = true;
        for segment in segments {
            match segment {
                Segment::Text(text) => parts.push(Part::Text(text.clone())),
                Segment::Reference(reference) => match self.reference(reference, place) {
                    Some(template) => parts.extend(template.parts().iter().cloned()),
                    None => whole = false,
                },
            }
        }
        whole.then(|| Template::new(parts))
    }

    fn reference(&self, reference: &Reference, place: Place) -> Option<Template> {
        let spot = self.diagnostics.within(place, &reference.text);
        match (self.look_up(reference, spot), &reference.otherwise) {
            (Outcome::Reported, _) => None,
            (Outcome::Value(template), Some(Otherwise::Default(segments))) if template.as_text() == Some("") => {
                self.default(reference, segments, place)
            }
            (Outcome::Unset, Some(Otherwise::Default(segments))) => self.default(reference, segments, place),
            (Outcome::Value(template), Some(Otherwise::Message(_))) if template.as_text() != Some("") => Some(template),
            (Outcome::Value(template), None | Some(Otherwise::Default(_))) => Some(template),
            (_, Some(Otherwise::Message(message))) => self.unset(reference, spot, message),
            (Outcome::Unset, None) => self.unset(reference, spot, ""),
        }
    }

    fn default(&self, reference: &Reference, segments: &[Segment], place: Place) -> Option<Template> {
        if let Some(name) = reference.path.strip_prefix("env.") {
            self.environment.origins.borrow_mut().insert(name.to_owned(), EnvOrigin::Default);
        }
        self.fill(segments, place)
    }

    fn unset(&self, reference: &Reference, spot: Place, message: &str) -> Option<Template> {
        if self.dormant.get() {
            return Some(Template::default());
        }
        let name = reference.path.trim_start_matches("env.");
        if !message.is_empty() {
            self.diagnostics.error(
                spot,
                format!("{name} is not set: {message}"),
                format!("set {name} in the environment or in .env"),
            );
            return None;
        }
        let near =
            nearest(name, self.environment.names()).map(|near| format!("did you mean `{near}`? Else ")).unwrap_or_default();
        self.diagnostics.error(
            spot,
            format!("{name} is not set"),
            format!("{near}set {name} in the environment or in .env beside stack.toml, or write `${{env.{name}:-default}}`"),
        );
        None
    }

    fn look_up(&self, reference: &Reference, spot: Place) -> Outcome {
        match reference.path.split_once('.') {
            Some(("env", name)) => self.env(name, spot),
            Some(("stack", field)) => self.stack(field, spot),
            Some(("secret", name)) => self.secret(name, spot),
            Some((first, rest)) => self.workload(first, rest, spot),
            None => self.bare(&reference.path, &reference.text, spot),
        }
    }

    fn report(&self, spot: Place, message: impl Into<String>, hint: impl Into<String>) -> Outcome {
        self.diagnostics.error(spot, message, hint);
        Outcome::Reported
    }

    fn env(&self, name: &str, spot: Place) -> Outcome {
        if !super::dotenv::is_name(name) {
            return self.report(
                spot,
                format!("`{name}` is not a name of a variable"),
                "use letters, digits and _; after the name comes `}`, `:-default` or `:?message`",
            );
        }
        self.environment.get(name).map_or(Outcome::Unset, |value| Outcome::Value(Template::text(value)))
    }

    fn stack(&self, field: &str, spot: Place) -> Outcome {
        match (field, &self.name) {
            ("name", Some(name)) => Outcome::Value(Template::text(name.as_str())),
            ("name", None) => {
                self.report(spot, "`${stack.name}` can't be used here: the name is not known yet", "write the name itself")
            }
            ("profile", _) => Outcome::Value(Template::text(self.profile.as_str())),
            _ => self.report(
                spot,
                format!("`stack` has no `{field}`"),
                did_you_mean(field, ["name", "profile"], "it has `name` and `profile`"),
            ),
        }
    }

    fn secret(&self, name: &str, spot: Place) -> Outcome {
        let (name, path) = name.strip_suffix(".path").map_or((name, false), |name| (name, true));
        let secret = match named::<SecretName>(name) {
            Ok(secret) => secret,
            Err(Mistake { hint, .. }) => return self.report(spot, format!("`{name}` is not a name of a secret"), hint),
        };
        if let Some(catalog) = &self.catalog
            && !catalog.secrets.contains(name)
        {
            let known = catalog.secrets.iter().map(String::as_str);
            let hint = did_you_mean(name, known, &format!("add `{name} = {{}}` below `[secrets]`"));
            return self.report(spot, format!("there is no secret `{name}`"), hint);
        }
        let part = if path { Part::Text(format!("/run/secrets/{name}")) } else { Part::Secret(secret) };
        Outcome::Value(Template::new([part]))
    }

    fn workload(&self, name: &str, rest: &str, spot: Place) -> Outcome {
        let Some(catalog) = &self.catalog else {
            return self.report(
                spot,
                format!("`{name}` can't be referred to here"),
                "only `${env.…}`, `${secret.…}` and `${stack.…}` can",
            );
        };
        if let Some(facts) = catalog.postgres.get(name) {
            if let Ok(name) = name.parse() {
                self.uses.borrow_mut().insert(name);
            }
            return match facts.field(name, rest) {
                Ok(template) => Outcome::Value(template),
                Err(mistake) => self.report(spot, mistake.message, mistake.hint),
            };
        }
        if let Some(port) = catalog.services.get(name) {
            return self.service(name, *port, rest, spot);
        }
        if catalog.jobs.contains(name) {
            let message = format!("`{name}` is a job: it runs to an end and has no address");
            return self.report(spot, message, "what listens is a service: `[services.NAME]`");
        }
        let known = catalog.postgres.keys().chain(catalog.services.keys()).map(String::as_str).chain(["env", "secret", "stack"]);
        let hint =
            did_you_mean(name, known, "a reference begins with `env.`, `secret.`, `stack.` or the name of a service or postgres");
        self.report(spot, format!("there is no service or postgres `{name}`"), hint)
    }

    fn service(&self, name: &str, port: Option<u16>, field: &str, spot: Place) -> Outcome {
        let fields = ["host", "port", "url"];
        let text = match (field, port) {
            ("host", _) => name.to_owned(),
            ("port", Some(port)) => port.to_string(),
            ("url", Some(port)) => format!("http://{name}:{port}"),
            ("port" | "url", None) => {
                return self.report(
                    spot,
                    format!("services.{name} has no `port`"),
                    format!("say what it listens on: `port = 8000` in services.{name}"),
                );
            }
            _ => {
                let hint = did_you_mean(field, fields, &format!("a service has {}", list(fields)));
                return self.report(spot, format!("a service has no `{field}`"), hint);
            }
        };
        Outcome::Value(Template::text(text))
    }

    fn bare(&self, path: &str, whole: &str, spot: Place) -> Outcome {
        let is_workload = self
            .catalog
            .as_ref()
            .is_some_and(|catalog| catalog.postgres.contains_key(path) || catalog.services.contains_key(path));
        if is_workload {
            return self.report(
                spot,
                format!("`{whole}` says nothing of `{path}`"),
                format!("write `${{{path}.host}}` or `${{{path}.url}}`"),
            );
        }
        let ours = whole.replacen("${", "${env.", 1);
        self.report(
            spot,
            format!("`{whole}` is compose's way to write a variable"),
            format!("here it is `{ours}`; a literal `${{` is `$${{`"),
        )
    }
}
