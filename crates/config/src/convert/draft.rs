//! What a converter makes: policies, and what is to be said of each of them and of each of their rules.

use lagan_policy::{Keep, KeepLine, Limits, Mode, Policy, PolicyName, RepositoryPattern, Rule, Select};

use crate::document::policy::PolicyEntry;
use crate::notice::Remark;

/// Policies, and what is to be said of them together.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) remarks: Vec<Remark>,
    pub(crate) policies: Vec<DraftPolicy>,
}

/// One policy, and what is to be said of it.
#[derive(Debug)]
pub(crate) struct DraftPolicy {
    pub(crate) remarks: Vec<Remark>,
    pub(crate) repositories: Vec<RepositoryPattern>,
    pub(crate) exclude_repositories: Vec<RepositoryPattern>,
    pub(crate) mode: Mode,
    /// Whether a tag may be taken from an artifact that stays: not where the vendor deletes whole images.
    pub(crate) untag: bool,
    pub(crate) rules: Vec<DraftRule>,
}

/// One rule, and what is to be said of it.
#[derive(Debug)]
pub(crate) struct DraftRule {
    pub(crate) remarks: Vec<Remark>,
    pub(crate) name: String,
    pub(crate) select: Select,
    pub(crate) keep: Keep,
}

impl DraftRule {
    pub(crate) fn new(name: impl Into<String>, select: Select, keep: Keep) -> Self {
        Self {
            remarks: Vec::new(),
            name: name.into(),
            select,
            keep,
        }
    }

    pub(crate) fn remark(mut self, remark: Remark) -> Self {
        self.remarks.push(remark);
        self
    }
}

/// What is kept: lines that are alternatives, `none` where there is none.
pub(crate) fn keep(lines: Vec<KeepLine>) -> Keep {
    lines.into()
}

impl Draft {
    /// The policies as values. The only one is named `name`, several are numbered behind it.
    pub(crate) fn entries(&self, name: &str) -> Vec<PolicyEntry> {
        let numbered = self.policies.len() > 1;
        let policies = self.policies.iter().enumerate().map(|(position, draft)| {
            let name = if numbered {
                format!("{name}-{}", position + 1)
            } else {
                name.to_owned()
            };
            draft.policy(&name)
        });
        policies
            .map(|policy| PolicyEntry {
                registry: None,
                policy,
            })
            .collect()
    }

    /// Every remark, those of the whole first, in the order of policies and rules.
    pub(crate) fn all_remarks(&self) -> impl Iterator<Item = &Remark> {
        let of_policies = self.policies.iter().flat_map(|policy| {
            let of_rules = policy.rules.iter().flat_map(|rule| &rule.remarks);
            policy.remarks.iter().chain(of_rules)
        });
        self.remarks.iter().chain(of_policies)
    }
}

impl DraftPolicy {
    fn policy(&self, name: &str) -> Policy {
        let rules = self.rules.iter().map(|rule| Rule {
            name: rule.name.as_str().into(),
            select: rule.select.clone(),
            keep: rule.keep.clone(),
            allow_empty_repository: !rule.keep.always_leaves_one() && !rule.select.spares_tags(),
        });
        Policy {
            name: PolicyName::from(name),
            repositories: self.repositories.clone(),
            exclude_repositories: self.exclude_repositories.clone(),
            mode: self.mode,
            rules: rules.collect(),
            protect: Vec::new(),
            limits: Limits::default(),
            untag: self.untag,
            grace: None,
            notice: None,
            rollout: None,
        }
    }
}
