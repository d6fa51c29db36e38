//! `DescribeJobMonitorData`: what an instance used, as its agent measured it
//! from the process's start to its end. That is one point, at the end.

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    auth::Identity,
    job::{Resources, Usage},
    service::Service,
};

use crate::{call::Call, faults::Fault, fields::Fields, tasks};

/// What can be asked for. Of disks nothing is measured.
const METRICS: [&str; 6] =
    ["CpuUsage", "MemUsage", "LanOuttraffic", "LanIntraffic", "MaxDiskUsage", "TargetDiskUsage"];

pub(crate) async fn describe(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let (seen, place) = tasks::named(service, who, &mut fields).await?;
    let index = fields.count("TaskInstanceIndex", u32::MAX)?;
    let index = fields.needed("TaskInstanceIndex", index)?;
    let path = fields.path("MetricName");
    let metric = fields.said("MetricName")?;
    if !METRICS.contains(&metric.as_str()) {
        return Err(Fault::value(&path, format!("it is one of {}", METRICS.join(", "))));
    }
    let (from, to) = (moment(&mut fields, "StartTime")?, moment(&mut fields, "EndTime")?);
    for mut dimension in fields.objects("Dimensions")? {
        dimension.said("Name")?;
        dimension.text("Value")?;
        dimension.end()?;
    }
    fields.end()?;
    let one = tasks::member(service, &seen, place, index).await?;
    let left = tasks::left(service, &one).await?;
    let resources = seen.job.tasks[place].resources;
    let point = left.as_ref().and_then(|left| {
        let at = left.ended_at;
        let within = from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to);
        let value = measured(&metric, left.usage.as_ref()?, resources)?;
        within.then(|| (at.as_second(), value))
    });
    let (times, values): (Vec<i64>, Vec<f64>) = point.into_iter().unzip();
    let wall = left.and_then(|left| left.usage).map_or(0, |usage| usage.wall_ms);
    Ok(json!({
        "Period": wall.div_ceil(1_000).max(1),
        "DataPoints": { "Timestamps": times, "Values": values },
    }))
}

fn moment(fields: &mut Fields, name: &str) -> Result<Option<Timestamp>, Fault> {
    let path = fields.path(name);
    let Some(text) = fields.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let at =
        text.parse().map_err(|_| Fault::value(&path, "it is a time like 2006-01-02T15:04:05Z"))?;
    Ok(Some(at))
}

/// Shares are in percent, traffic in bytes each second.
#[expect(clippy::cast_precision_loss, reason = "a figure to be looked at")]
fn measured(metric: &str, usage: &Usage, of: Resources) -> Option<f64> {
    let seconds = (usage.wall_ms.max(1) as f64) / 1_000.0;
    let cpus = f64::from(of.cpu_millis) / 1_000.0;
    let value = match metric {
        "CpuUsage" => usage.cpu_ms as f64 / 1_000.0 / seconds / cpus * 100.0,
        "MemUsage" => {
            usage.peak_memory_bytes as f64 / (f64::from(of.memory_mib) * 1_048_576.0) * 100.0
        }
        "LanIntraffic" => usage.input_bytes as f64 / seconds,
        "LanOuttraffic" => usage.output_bytes as f64 / seconds,
        _ => return None,
    };
    Some((value * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_share_of_what_was_given() {
        let usage = Usage {
            wall_ms: 2_000,
            cpu_ms: 500,
            peak_memory_bytes: 256 << 20,
            input_bytes: 100,
            output_bytes: 4_096,
        };
        let of = Resources { cpu_millis: 1_000, memory_mib: 1_024 };
        for (metric, value) in [
            ("CpuUsage", Some(25.0)),
            ("MemUsage", Some(25.0)),
            ("LanIntraffic", Some(50.0)),
            ("LanOuttraffic", Some(2_048.0)),
            ("MaxDiskUsage", None),
        ] {
            assert_eq!(measured(metric, &usage, of), value, "{metric}");
        }
    }
}
