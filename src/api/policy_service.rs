//! `PolicyService`: the operator's rules.

use super::convert::{constraint_from_wire, constraint_to_wire};
use super::error::{ApiError, Violation};
use crate::coordinator::Coordinator;
use crate::coordinator::policies::{Place, Policies};
use dvms_proto::v1 as pb;
use dvms_solver::file::Constraint;
use pb::policy_service_server::PolicyService;
use std::collections::BTreeSet;
use tonic::{Request, Response, Status};

/// The service.
pub(super) struct PolicyAnswers {
    coordinator: Coordinator,
}

impl PolicyAnswers {
    pub(super) fn new(coordinator: Coordinator) -> Self {
        Self { coordinator }
    }

    fn answer(&self, policies: &Policies) -> Response<pb::Policies> {
        let source = place_to_wire(policies.place);
        let of_file =
            policies.files.iter().map(|rule| policy(&rule.name, pb::PolicyPlace::File, Some(rule), ""));
        let names: BTreeSet<&String> = policies.kept.rules.keys().chain(policies.refused.keys()).collect();
        let kept = names.into_iter().map(|name| {
            let refused = policies.refused.get(name).map(String::as_str).unwrap_or_default();
            policy(name, source, policies.kept.rules.get(name), refused)
        });
        Response::new(pb::Policies {
            coordinator: self.coordinator.name().to_owned(),
            place: source.into(),
            revision: policies.kept.revision,
            policies: of_file.chain(kept).collect(),
        })
    }
}

fn place_to_wire(place: Place) -> pb::PolicyPlace {
    match place {
        Place::Files => pb::PolicyPlace::File,
        Place::Here => pb::PolicyPlace::Coordinator,
        Place::Etcd => pb::PolicyPlace::Etcd,
    }
}

fn policy(name: &str, source: pb::PolicyPlace, rule: Option<&Constraint>, refused: &str) -> pb::Policy {
    pb::Policy {
        name: name.to_owned(),
        source: source.into(),
        rule: rule.map(constraint_to_wire),
        refused: refused.to_owned(),
    }
}

#[tonic::async_trait]
impl PolicyService for PolicyAnswers {
    async fn list_policies(
        &self,
        _: Request<pb::ListPoliciesRequest>,
    ) -> Result<Response<pb::Policies>, Status> {
        Ok(self.answer(&self.coordinator.policies()))
    }

    async fn apply_policies(
        &self,
        request: Request<pb::ApplyPoliciesRequest>,
    ) -> Result<Response<pb::Policies>, Status> {
        let rules: Vec<_> = request.into_inner().rules.into_iter().map(constraint_from_wire).collect();
        if rules.is_empty() {
            return Err(ApiError::invalid_field("rules", "there are none").into());
        }
        let wrong = self.coordinator.policies().judge(&rules);
        if !wrong.is_empty() {
            let faults = wrong.into_iter().map(|(path, message)| Violation::new(path, message));
            return Err(ApiError::invalid(faults.collect()).into());
        }
        let policies = self.coordinator.apply_rules(rules).await.map_err(ApiError::from)?;
        Ok(self.answer(&policies))
    }

    async fn delete_policy(
        &self,
        request: Request<pb::DeletePolicyRequest>,
    ) -> Result<Response<pb::Policies>, Status> {
        let policies =
            self.coordinator.delete_rule(&request.into_inner().name).await.map_err(ApiError::from)?;
        Ok(self.answer(&policies))
    }
}
