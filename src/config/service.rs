//! `[services.NAME]`.

use std::time::Duration;

use crate::model::hash::SpecHash;
use crate::model::wish::MOST_REPLICAS;
use crate::model::workload::{Backoff, Kind, Restart, Service, Workload};

use super::container::{common, full, inputs};
use super::definition::{Shape, definition};
use super::draft::{Draft, Owner, dependencies, is_active};
use super::image::image;
use super::ports::ports;
use super::probes::probes;
use super::reader::Reader;

/// How long a service may take to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Reads a service.
pub(super) fn service(reader: Reader<'_>, owner: &Owner<'_>) -> Option<Draft> {
    let active = is_active(&reader, owner.profiles);
    reader.cx.scope.dormant.set(!active);
    let image = image(&reader, owner);
    reader.text("extends");
    let mut container = common(&reader, "service");
    full(&reader, &mut container);
    container.stop_grace = reader.duration_or_zero("stop_grace").unwrap_or(GRACE);
    let ports = ports(&reader);
    container.ports = ports.iter().map(|(port, _)| port.clone()).collect();
    let port = reader.port("port").or(ports.first().map(|(port, _)| port.container));
    let service = Service {
        port,
        replicas: replicas(&reader),
        restart: restart(&reader),
        backoff: backoff(&reader),
        probes: probes(&reader, port),
    };
    let inputs = inputs(&reader);
    let depends = dependencies(&reader, owner);
    if service.replicas > 1 {
        for (port, place) in ports.iter().filter(|(port, _)| port.host.is_some()) {
            let hint = format!("write \"auto:{}\": each replica gets a free port", port.container);
            reader.error(*place, format!("{} replicas can't share one port of the host", service.replicas), hint);
        }
    }
    if image.is_none() && !["image", "build", "extends"].iter().any(|key| reader.has(key)) {
        let hint = "give it `image = \"name:tag\"`, `build = \".\"` or `extends = \"SERVICE\"`";
        reader.error(owner.place, format!("`{}` has no image", reader.path), hint);
    }
    let Some(image) = image else {
        reader.finish();
        return None;
    };
    let shape = Shape { container: &container, image: &image, inputs };
    let definition = definition(&reader, &shape);
    reader.finish();
    let workload = Workload {
        name: owner.name.clone(),
        kind: Kind::Service(Box::new(service)),
        image,
        container,
        dependencies: Vec::new(),
        spec: SpecHash::of(&definition),
    };
    Some(Draft { workload, place: owner.place, active, depends, ports, definition, old_volume: None, left_out: Vec::new() })
}

fn replicas(reader: &Reader<'_>) -> u32 {
    if reader.node("replicas").is_some_and(|node| node.as_table().is_some()) {
        reader.error(
            reader.value_place("replicas"),
            "a range of replicas is reserved for a later version",
            "write a fixed number: `replicas = 2`",
        );
        return 1;
    }
    reader.count("replicas", 0..=MOST_REPLICAS).unwrap_or(1)
}

fn restart(reader: &Reader<'_>) -> Restart {
    let words = [("always", Restart::Always), ("on-failure", Restart::OnFailure), ("never", Restart::Never)];
    if reader.node("restart").is_some_and(|node| node.kind() == "a boolean") {
        reader.error(
            reader.value_place("restart"),
            "`restart` is a word",
            "write `restart = \"always\"`, `\"on-failure\"` or `\"never\"`",
        );
        return Restart::Always;
    }
    reader.choice("restart", &words).unwrap_or(Restart::Always)
}

fn backoff(reader: &Reader<'_>) -> Backoff {
    let default = Backoff::default();
    let Some(reader) = reader.table("backoff", "backoff") else { return default };
    let (min, max) = (reader.duration("min"), reader.duration("max"));
    let backoff = Backoff { min: min.unwrap_or(default.min), max: max.unwrap_or(default.max.max(min.unwrap_or_default())) };
    if backoff.min > backoff.max {
        let hint = format!("`min` can be {} at most, or write a longer `max`", humantime::format_duration(backoff.max));
        reader.error(reader.value_place("min"), "`min` is longer than `max`", hint);
    }
    reader.finish();
    backoff
}
