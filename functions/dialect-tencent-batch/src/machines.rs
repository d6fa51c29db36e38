//! Instance types: what a container may use that is asked for by the name of a
//! machine.

use shared::wire::submit::ResourcesRequest;

/// What machines of one kind are good for, as families are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    General,
    Compute,
    Memory,
}

impl Category {
    pub(crate) const ALL: [Category; 3] = [Category::General, Category::Compute, Category::Memory];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Category::General => "General",
            Category::Compute => "Compute",
            Category::Memory => "Memory-optimized",
        }
    }

    /// Sizes: their names, CPUs, and GB of memory.
    fn sizes(self) -> &'static [(&'static str, u32, u32)] {
        match self {
            Category::General => &GENERAL,
            Category::Compute => &COMPUTE,
            Category::Memory => &MEMORY,
        }
    }
}

const GENERAL: [(&str, u32, u32); 21] = [
    ("SMALL1", 1, 1),
    ("SMALL2", 1, 2),
    ("SMALL4", 1, 4),
    ("MEDIUM2", 2, 2),
    ("MEDIUM4", 2, 4),
    ("MEDIUM8", 2, 8),
    ("LARGE4", 4, 4),
    ("LARGE8", 4, 8),
    ("LARGE16", 4, 16),
    ("2XLARGE8", 8, 8),
    ("2XLARGE16", 8, 16),
    ("2XLARGE32", 8, 32),
    ("3XLARGE24", 12, 24),
    ("3XLARGE48", 12, 48),
    ("4XLARGE16", 16, 16),
    ("4XLARGE32", 16, 32),
    ("4XLARGE64", 16, 64),
    ("6XLARGE48", 24, 48),
    ("8XLARGE64", 32, 64),
    ("8XLARGE128", 32, 128),
    ("16XLARGE256", 64, 256),
];

const COMPUTE: [(&str, u32, u32); 9] = [
    ("LARGE8", 4, 8),
    ("LARGE16", 4, 16),
    ("LARGE32", 4, 32),
    ("2XLARGE16", 8, 16),
    ("2XLARGE32", 8, 32),
    ("4XLARGE32", 16, 32),
    ("4XLARGE64", 16, 64),
    ("8XLARGE64", 32, 64),
    ("8XLARGE128", 32, 128),
];

const MEMORY: [(&str, u32, u32); 7] = [
    ("SMALL8", 1, 8),
    ("MEDIUM16", 2, 16),
    ("LARGE32", 4, 32),
    ("2XLARGE64", 8, 64),
    ("3XLARGE96", 12, 96),
    ("4XLARGE128", 16, 128),
    ("8XLARGE256", 32, 256),
];

/// Families, and what they are for.
const FAMILIES: [(&str, Category); 22] = [
    ("S1", Category::General),
    ("S2", Category::General),
    ("S3", Category::General),
    ("S4", Category::General),
    ("S5", Category::General),
    ("S6", Category::General),
    ("S8", Category::General),
    ("SA1", Category::General),
    ("SA2", Category::General),
    ("SA3", Category::General),
    ("SA5", Category::General),
    ("C2", Category::Compute),
    ("C3", Category::Compute),
    ("C4", Category::Compute),
    ("C5", Category::Compute),
    ("C6", Category::Compute),
    ("M1", Category::Memory),
    ("M2", Category::Memory),
    ("M3", Category::Memory),
    ("M5", Category::Memory),
    ("M6", Category::Memory),
    ("MA2", Category::Memory),
];

/// A kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) family: &'static str,
    pub(crate) cpus: u32,
    /// GB of memory.
    pub(crate) memory: u32,
}

impl Machine {
    /// What a container may use in its place.
    pub(crate) fn resources(&self) -> ResourcesRequest {
        resources(self.cpus, self.memory)
    }
}

/// So many CPUs, and GB of memory.
pub(crate) fn resources(cpus: u32, memory: u32) -> ResourcesRequest {
    ResourcesRequest { cpu: Some(f64::from(cpus)), memory_mib: Some(i64::from(memory) * 1_024) }
}

/// Every kind of machine.
pub(crate) fn all() -> impl Iterator<Item = Machine> {
    FAMILIES.iter().flat_map(|(family, category)| {
        category.sizes().iter().map(move |(size, cpus, memory)| Machine {
            name: format!("{family}.{size}"),
            family,
            cpus: *cpus,
            memory: *memory,
        })
    })
}

/// The machine of that name, if there is one.
pub(crate) fn named(name: &str) -> Option<Machine> {
    all().find(|machine| machine.name == name)
}

/// The families of one category.
pub(crate) fn families(category: Category) -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().filter(move |(_, of)| *of == category).map(|(family, _)| *family)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_machine_goes_by_its_name_alone() {
        let small = named("S1.SMALL1").unwrap();
        assert_eq!((small.family, small.cpus, small.memory), ("S1", 1, 1));
        assert_eq!(small.resources().memory_mib, Some(1_024));
        assert_eq!(named("M5.2XLARGE64").unwrap().memory, 64);
        assert_eq!(named("S1.HUGE"), None);
        assert_eq!(named("s1.small1"), None);
        let names: BTreeSet<String> = all().map(|machine| machine.name).collect();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn a_size_is_as_large_as_its_name_says() {
        for machine in all() {
            let memory = machine.name.rsplit(|c: char| !c.is_ascii_digit()).next();
            assert_eq!(memory.unwrap().parse(), Ok(machine.memory), "{}", machine.name);
        }
    }
}
