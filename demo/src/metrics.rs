//! Counters for `/metrics`, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What one route, method and status add up to.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    count: u64,
    seconds: f64,
}

/// The counters of this process.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(String, String, u16), Tally>>,
}

/// What is asked of others at the moment of rendering.
#[derive(Debug, Clone, Copy)]
pub struct Gauges {
    /// Connections opened to the database so far.
    pub connections: u64,
    /// Time since the start.
    pub uptime: Duration,
}

impl Metrics {
    /// Counts one answered request.
    pub fn count(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = requests.entry((route.to_owned(), method.to_owned(), status)).or_default();
        tally.count += 1;
        tally.seconds += took.as_secs_f64();
    }

    /// The page for Prometheus.
    pub fn render(&self, gauges: Gauges) -> String {
        let mut text = String::new();
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Tally) -> f64| {
            head(&mut text, name, kind, help);
            for ((route, method, status), tally) in &requests {
                let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
                let _ = writeln!(text, "{name}{{{labels}}} {}", value(tally));
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a counter below 2^53")]
        family("witw_http_requests_total", "counter", "Answered requests.", &|t| t.count as f64);
        family("witw_http_request_seconds_total", "counter", "Time spent on them.", &|t| t.seconds);
        let name = "witw_database_connections_total";
        head(&mut text, name, "counter", "Connections opened to the database.");
        let _ = writeln!(text, "{name} {}", gauges.connections);
        let name = "witw_uptime_seconds";
        head(&mut text, name, "gauge", "Time since the start of the process.");
        let _ = writeln!(text, "{name} {}", gauges.uptime.as_secs_f64());
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.count("GET", "/", 200, Duration::from_millis(250));
        metrics.count("GET", "/", 200, Duration::from_millis(250));
        let text = metrics.render(Gauges { connections: 1, uptime: Duration::from_secs(2) });
        let labels = r#"{route="/",method="GET",status="200"}"#;
        assert!(text.contains(&format!("witw_http_requests_total{labels} 2\n")), "{text}");
        assert!(text.contains(&format!("witw_http_request_seconds_total{labels} 0.5\n")), "{text}");
        assert!(text.contains("witw_database_connections_total 1\n"), "{text}");
        let families = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(families, 4, "{text}");
    }
}
