//! Whose a task is, and where it runs: the request that starts it.
//!
//! All of it follows from the launch and the configuration, so that a launch
//! that is repeated asks for the same in the same words.

use aws_sdk_ecs::{
    operation::run_task::RunTaskInput,
    types::{
        AssignPublicIp, AwsVpcConfiguration, CapacityProviderStrategyItem, ContainerOverride,
        KeyValuePair, LaunchType, NetworkConfiguration, Tag, TaskOverride,
    },
};
use aws_smithy_types::error::operation::BuildError;

use super::{
    config::{Capacity, EcsConfig},
    definition::MAIN,
    naming,
};
use crate::{agent, platform::Launch};

/// What starts the task of `launch`.
pub(super) fn run(
    launch: &Launch,
    family: &str,
    config: &EcsConfig,
) -> Result<RunTaskInput, BuildError> {
    let request = RunTaskInput::builder()
        .cluster(&config.cluster)
        .task_definition(family)
        .count(1)
        .client_token(launch.attempt.attempt.to_string())
        .started_by(naming::started_by(&config.instance, launch.attempt))
        .network_configuration(network(config)?)
        .overrides(environment(launch, config))
        .set_tags(Some(tags(launch)));
    match config.capacity {
        Capacity::OnDemand => request.launch_type(LaunchType::Fargate).build(),
        Capacity::Spot => {
            let spot = CapacityProviderStrategyItem::builder().capacity_provider("FARGATE_SPOT");
            request.capacity_provider_strategy(spot.weight(1).build()?).build()
        }
    }
}

fn network(config: &EcsConfig) -> Result<NetworkConfiguration, BuildError> {
    let public = if config.public_ip { AssignPublicIp::Enabled } else { AssignPublicIp::Disabled };
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(config.subnets.clone()))
        .set_security_groups(Some(config.security_groups.clone()))
        .assign_public_ip(public);
    Ok(NetworkConfiguration::builder().awsvpc_configuration(vpc.build()?).build())
}

fn environment(launch: &Launch, config: &EcsConfig) -> TaskOverride {
    let attempt = launch.attempt.attempt.to_string();
    let variables = [
        (agent::ATTEMPT_VARIABLE, attempt.as_str()),
        (agent::TOKEN_VARIABLE, &launch.token),
        (agent::SERVICE_VARIABLE, &config.service),
        // Over what the image may say.
        (agent::SCRATCH_VARIABLE, agent::SCRATCH),
    ];
    let variables =
        variables.map(|(name, value)| KeyValuePair::builder().name(name).value(value).build());
    let main = ContainerOverride::builder().name(MAIN).set_environment(Some(variables.into()));
    TaskOverride::builder().container_overrides(main.build()).build()
}

/// For people, and for the bill.
fn tags(launch: &Launch) -> Vec<Tag> {
    let attempt = launch.attempt;
    let ours = [
        ("project".to_owned(), attempt.project.to_string()),
        ("job".to_owned(), attempt.attempt.job.to_string()),
        ("attempt".to_owned(), attempt.attempt.to_string()),
    ];
    let theirs = launch.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
    let theirs = theirs.filter(|(name, _)| ours.iter().all(|(taken, _)| taken != name));
    let tag = |(name, value): (String, String)| {
        Tag::builder().key(format!("tarpon:{name}")).value(value).build()
    };
    theirs.collect::<Vec<_>>().into_iter().chain(ours).map(tag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::runtime::samples;

    fn request(config: &EcsConfig) -> RunTaskInput {
        run(&samples::launch(), "family", config).unwrap()
    }

    #[test]
    fn the_same_launch_asks_in_the_same_words() {
        let (once, again) = (request(&samples::config()), request(&samples::config()));
        assert_eq!(once, again);
        let token = once.client_token().unwrap();
        assert_eq!(token, samples::launch().attempt.attempt.to_string());
        assert!(token.len() <= 64);
    }

    #[test]
    fn the_agent_is_told_who_it_is_and_nothing_else() {
        let request = request(&samples::config());
        let overrides = request.overrides().unwrap();
        assert_eq!(overrides.task_role_arn(), None);
        let [main] = overrides.container_overrides() else { panic!("one container") };
        let names: Vec<_> = main.environment().iter().filter_map(|pair| pair.name()).collect();
        assert_eq!(names, ["TARPON_ATTEMPT", "TARPON_TOKEN", "TARPON_SERVICE", "TARPON_SCRATCH"]);
    }

    #[test]
    fn spot_is_a_strategy_and_no_launch_type() {
        let spot = request(&EcsConfig { capacity: Capacity::Spot, ..samples::config() });
        assert_eq!(spot.launch_type(), None);
        assert_eq!(spot.capacity_provider_strategy()[0].capacity_provider(), "FARGATE_SPOT");
        let kept = request(&samples::config());
        assert_eq!(kept.launch_type(), Some(&LaunchType::Fargate));
        assert_eq!(kept.capacity_provider_strategy(), []);
    }

    #[test]
    fn no_label_takes_the_place_of_what_we_say() {
        let mut launch = samples::launch();
        launch.labels.insert("project".into(), "theirs".into());
        let tags = tags(&launch);
        let said = |name: &str| tags.iter().filter(move |tag| tag.key() == Some(name)).count();
        assert_eq!((said("tarpon:project"), said("tarpon:task"), tags.len()), (1, 1, 4));
    }
}
