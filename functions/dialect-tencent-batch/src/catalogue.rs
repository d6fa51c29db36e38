//! What there is to be asked for: instance types, by zone and by category.

use serde_json::{Value, json};

use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    filters::Filters,
    machines::{self, Category, Machine},
    zones,
};

/// How an instance may be charged for.
const CHARGES: [&str; 2] = ["POSTPAID_BY_HOUR", "SPOTPAID"];

fn filters(call: Call, names: &[&str]) -> Result<(Filters, Option<String>), Fault> {
    let mut fields = Fields::new(call.parameters);
    let filters = Filters::read(&mut fields, names)?;
    fields.end()?;
    Ok((filters, call.region))
}

/// Each machine in each zone, as far as the filters admit them.
fn offered(
    filters: &Filters,
    region: Option<&str>,
) -> impl Iterator<Item = (String, Machine)> + use<> {
    let admits = |name: &str, value: &str| {
        filters.of(name).is_none_or(|values| values.iter().any(|wanted| wanted == value))
    };
    let zones: Vec<String> = zones::open(region).filter(|zone| admits("zone", zone)).collect();
    let machines: Vec<Machine> = machines::all()
        .filter(|machine| admits("instance-family", machine.family))
        .filter(|machine| admits("instance-type", &machine.name))
        .collect();
    zones.into_iter().flat_map(move |zone| {
        machines.clone().into_iter().map(move |machine| (zone.clone(), machine))
    })
}

/// `DescribeAvailableCvmInstanceTypes`.
pub(crate) fn types(call: Call) -> Result<Value, Fault> {
    let (filters, region) = filters(call, &["zone", "instance-family"])?;
    let view = |(zone, machine): (String, Machine)| {
        json!({
            "Mem": machine.memory,
            "Cpu": machine.cpus,
            "InstanceType": machine.name,
            "Zone": zone,
            "InstanceFamily": machine.family,
        })
    };
    let set: Vec<Value> = offered(&filters, region.as_deref()).map(view).collect();
    Ok(json!({ "InstanceTypeConfigSet": set }))
}

/// `DescribeCvmZoneInstanceConfigInfos`.
pub(crate) fn quotas(call: Call) -> Result<Value, Fault> {
    let names = ["zone", "instance-family", "instance-type", "instance-charge-type"];
    let (filters, region) = filters(call, &names)?;
    let charges: Vec<&str> = CHARGES
        .into_iter()
        .filter(|charge| {
            let wanted = filters.of("instance-charge-type");
            wanted.is_none_or(|values| values.iter().any(|value| value == charge))
        })
        .collect();
    let view = |(zone, machine): (String, Machine)| {
        let one = |charge: &&str| {
            json!({
                "Zone": zone,
                "InstanceType": machine.name,
                "InstanceChargeType": charge,
                "NetworkCard": 0,
                "Externals": {},
                "Cpu": machine.cpus,
                "Memory": machine.memory,
                "InstanceFamily": machine.family,
                "TypeName": machine.name,
                "LocalDiskTypeList": [],
                "Status": "SELL",
            })
        };
        charges.iter().map(one).collect::<Vec<_>>()
    };
    let set: Vec<Value> = offered(&filters, region.as_deref()).flat_map(view).collect();
    Ok(json!({ "InstanceTypeQuotaSet": set }))
}

/// `DescribeInstanceCategories`.
pub(crate) fn categories(call: Call) -> Result<Value, Fault> {
    Fields::new(call.parameters).end()?;
    let view = |category: Category| {
        json!({
            "InstanceCategory": category.word(),
            "InstanceFamilySet": machines::families(category).collect::<Vec<_>>(),
        })
    };
    let set: Vec<Value> = Category::ALL.into_iter().map(view).collect();
    Ok(json!({ "InstanceCategorySet": set }))
}
