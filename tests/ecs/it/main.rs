//! The ECS runtime against the endpoint, with real containers and a registry.
//! Everything here needs a container engine, `docker-registry` and `busybox`.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod agent;
mod bus;
mod registry;
mod shelf;
mod stage;

mod containers;
mod events;
mod images;
mod launches;
mod lists;

mod port {
    use super::stage::EcsStage;

    shared::runtime_suite!(EcsStage::new());
    shared::container_suite!(EcsStage::new());
}
