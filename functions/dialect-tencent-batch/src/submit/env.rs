//! The machine that a task asks for, as far as a container has such a thing:
//! CPUs, memory, an image. What is about the machine alone — its disks, its
//! network, who may log in — is taken, and has no part in what runs.

use shared::wire::submit::ResourcesRequest;

use super::inputs::Mapping;
use crate::{faults::Fault, fields::Fields, machines, zones};

/// What is known of a machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Env {
    /// Nothing of what is left to the queue.
    pub(crate) resources: ResourcesRequest,
    /// A reference, or the name of a registered image.
    pub(crate) image: Option<String>,
    /// Folders that are there.
    pub(crate) folders: Vec<String>,
    /// What every task finds there.
    pub(crate) inputs: Vec<Mapping>,
}

/// Known, and of no weight in a container.
const OF_MACHINES: [&str; 7] = [
    "DataDisks",
    "EnhancedService",
    "InstanceName",
    "LoginSettings",
    "SecurityGroupIds",
    "SystemDisk",
    "InternetAccessible",
];

/// A `ComputeEnv` of a task's own.
pub(crate) fn own(mut fields: Fields, region: Option<&str>) -> Result<Env, Fault> {
    let kind = fields.text("EnvType")?;
    if let Some(kind) = kind.filter(|kind| !kind.is_empty() && kind != "MANAGED") {
        return Err(unfit(format!("A task's own environment is MANAGED, not `{kind}`.")));
    }
    let Some(data) = fields.object("EnvData")? else {
        return Err(unfit(format!("`{}` is required.", fields.path("EnvData"))));
    };
    let env = data_of(data, region)?;
    with_rest(fields, env)
}

/// What stands beside `EnvData`.
pub(crate) fn with_rest(mut fields: Fields, mut env: Env) -> Result<Env, Fault> {
    for mut disk in fields.objects("MountDataDisks")? {
        let path = disk.path("LocalPath");
        let folder = disk.said("LocalPath")?;
        super::paths::local(&path, &folder)?;
        disk.ignore(&["FileSystemType"]);
        disk.end()?;
        env.folders.push(folder);
    }
    if fields.object("AgentRunningMode")?.is_some() {
        let path = fields.path("AgentRunningMode");
        return Err(Fault::value(&path, "it is for Windows, and there is none here"));
    }
    fields.end()?;
    Ok(env)
}

fn unfit(message: String) -> Fault {
    Fault::new("InvalidParameterValue.ComputeEnv", message)
}

/// An `EnvData`.
pub(crate) fn data_of(mut data: Fields, region: Option<&str>) -> Result<Env, Fault> {
    let resources = asked(&mut data)?;
    let image = data.text("ImageId")?.filter(|image| !image.is_empty());
    check_network(&mut data, region)?;
    check_charge(&mut data)?;
    data.ignore(&OF_MACHINES);
    data.end()?;
    Ok(Env { resources, image, ..Env::default() })
}

/// By one type, the first that there is of several, or by size.
fn asked(data: &mut Fields) -> Result<ResourcesRequest, Fault> {
    let (path, several) = (data.path("InstanceTypes"), data.texts("InstanceTypes")?);
    let one = data.text("InstanceType")?.filter(|name| !name.is_empty());
    let options = data.object("InstanceTypeOptions")?;
    let ways = [one.is_some(), !several.is_empty(), options.is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        let rule = "At most one of `InstanceType`, `InstanceTypes` and `InstanceTypeOptions` is \
                    given.";
        return Err(Fault::combination(rule));
    }
    if several.len() > 10 {
        return Err(Fault::limit(&path, "10 types"));
    }
    for (place, name) in several.iter().enumerate() {
        if several[..place].contains(name) {
            let message = format!("`{path}` has `{name}` twice.");
            return Err(Fault::new("InvalidParameterValue.InstanceTypeDuplicate", message));
        }
    }
    if let Some(mut options) = options {
        let cpus = options.count("CPU", 64)?;
        let cpus = options.needed("CPU", cpus)?;
        let memory = options.count("Memory", 512)?;
        let memory = options.needed("Memory", memory)?;
        options.texts("InstanceCategories")?;
        options.end()?;
        if cpus == 0 || memory == 0 {
            return Err(Fault::value(&data.path("InstanceTypeOptions"), "nothing fits in 0"));
        }
        return Ok(machines::resources(cpus, memory));
    }
    let names: Vec<String> = one.into_iter().chain(several).collect();
    if names.is_empty() {
        return Ok(ResourcesRequest::default());
    }
    let found = names.iter().find_map(|name| machines::named(name));
    found.map(|machine| machine.resources()).ok_or_else(|| {
        let message = format!("There is no instance type `{}`.", names.join("`, `"));
        Fault::new("InvalidParameter.CvmParameters", message)
    })
}

/// A network that is asked for in more than one way is none.
fn check_network(data: &mut Fields, region: Option<&str>) -> Result<(), Fault> {
    let one = data.object("VirtualPrivateCloud")?.is_some();
    let zones = data.texts("Zones")?;
    let several = !data.objects("VirtualPrivateClouds")?.is_empty();
    if [one, !zones.is_empty(), several].iter().filter(|way| **way).count() > 1 {
        let rule = "At most one of `VirtualPrivateCloud`, `Zones` and `VirtualPrivateClouds` is \
                    given.";
        return Err(Fault::combination(rule));
    }
    zones.iter().try_for_each(|zone| zones::check(zone, region))
}

fn check_charge(data: &mut Fields) -> Result<(), Fault> {
    data.word("InstanceChargeType", &["POSTPAID_BY_HOUR", "SPOTPAID"])?;
    let Some(mut market) = data.object("InstanceMarketOptions")? else { return Ok(()) };
    market.word("MarketType", &["spot"])?;
    if let Some(mut spot) = market.object("SpotOptions")? {
        spot.float("MaxPrice")?;
        spot.word("SpotInstanceType", &["one-time"])?;
        spot.end()?;
    }
    market.end()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(data: Value) -> Result<Env, Fault> {
        let whole = [("EnvData".to_owned(), data)].into_iter().collect();
        own(Fields::new(whole), Some("ap-guangzhou"))
    }

    fn code(data: Value) -> &'static str {
        read(data).unwrap_err().code
    }

    #[test]
    fn a_machine_becomes_cpus_memory_and_an_image() {
        let small =
            read(json!({ "InstanceType": "S1.SMALL1", "ImageId": "img-bd78fy2t" })).unwrap();
        assert_eq!(small.resources.cpu, Some(1.0));
        assert_eq!(small.image.as_deref(), Some("img-bd78fy2t"));
        let first = read(json!({ "InstanceTypes": ["X9.NONE", "S5.MEDIUM4"] })).unwrap();
        assert_eq!(first.resources.memory_mib, Some(4 * 1_024));
        let options = json!({ "CPU": 2, "Memory": "3", "InstanceCategories": ["ALL"] });
        let sized = read(json!({ "InstanceTypeOptions": options })).unwrap();
        assert_eq!((sized.resources.cpu, sized.resources.memory_mib), (Some(2.0), Some(3_072)));
        assert_eq!(read(json!({})).unwrap(), Env::default());
    }

    #[test]
    fn what_is_about_the_machine_alone_is_taken() {
        read(json!({
            "SystemDisk": { "DiskSize": 50 }, "DataDisks": [{ "DiskSize": 100 }],
            "LoginSettings": { "Password": "secret" }, "SecurityGroupIds": ["sg-1"],
            "InternetAccessible": { "InternetMaxBandwidthOut": 5, "PublicIpAssigned": true },
            "InstanceName": "n", "EnhancedService": {}, "InstanceChargeType": "SPOTPAID",
            "InstanceMarketOptions": {
                "MarketType": "spot",
                "SpotOptions": { "MaxPrice": "0.5", "SpotInstanceType": "one-time" },
            },
            "VirtualPrivateCloud": { "VpcId": "vpc-1", "SubnetId": "subnet-1" },
        }))
        .unwrap();
    }

    #[test]
    fn what_makes_no_machine_is_refused_by_its_own_code() {
        let combination = "InvalidParameter.InvalidParameterCombination";
        let both = json!({ "InstanceType": "S1.SMALL1", "InstanceTypes": ["S1.SMALL2"] });
        assert_eq!(code(both), combination);
        let both = json!({ "Zones": ["ap-guangzhou-2"], "VirtualPrivateCloud": { "VpcId": "v" } });
        assert_eq!(code(both), combination);
        let twice = json!({ "InstanceTypes": ["S1.SMALL1", "S1.SMALL1"] });
        assert_eq!(code(twice), "InvalidParameterValue.InstanceTypeDuplicate");
        let many: Vec<String> = (0..11).map(|n| format!("S1.N{n}")).collect();
        assert_eq!(code(json!({ "InstanceTypes": many })), "InvalidParameterValue.LimitExceeded");
        assert_eq!(code(json!({ "InstanceType": "Z" })), "InvalidParameter.CvmParameters");
        let price = json!({ "InstanceMarketOptions": { "SpotOptions": { "MaxPrice": "cheap" } } });
        assert_eq!(code(price), "InvalidParameterValue.NotFloat");
        let closed = json!({ "Zones": ["ap-guangzhou-1"] });
        assert_eq!(code(closed), "InvalidParameterValue.UnavailableZone");
        assert_eq!(code(json!({ "Colour": "red" })), "UnknownParameter");
        let thpc = json!({ "EnvType": "THPC_QUEUE", "EnvData": {} });
        let fault = own(Fields::of(thpc), None).unwrap_err();
        assert_eq!(fault.code, "InvalidParameterValue.ComputeEnv");
        let fault = own(Fields::default(), None).unwrap_err();
        assert_eq!(fault.code, "InvalidParameterValue.ComputeEnv");
    }
}
