//! What a manifest asks of a gateway that was fixed when its container was made: told, and never done by itself.

use canaryd_gateway::Intent;
use canaryd_rollout::{Gateway as Spec, Rollout};

use super::container::plan_of;
use super::settings::Choices;
use super::turn::Gateway;
use crate::daemon::bells::lock;

impl Gateway {
    /// Compares the container with what is asked for, once for each change of that. It is not made anew: nobody would be
    /// answered meanwhile, and a person decides when that may be. Networks that are asked for are joined.
    pub(super) async fn compare(&mut self, rollout: &Rollout, wanted: &Intent) {
        if self.compared.as_ref() == Some(&rollout.gateway) {
            return;
        }
        let note = match self.differences(rollout, wanted).await {
            Ok(differences) => {
                self.compared = Some(rollout.gateway.clone());
                in_words(&differences, rollout.name.as_str())
            }
            // Asked again with the next turn.
            Err(error) => Some(format!("gateway: {error}")),
        };
        self.note(note.into_iter().collect());
    }

    /// What `status` tells of it, until something else is to be told.
    pub(super) fn note(&self, notes: Vec<String>) {
        let mut wish = lock(&self.cell.wish);
        if wish.notes != notes {
            wish.notes = notes;
            drop(wish);
            self.cell.bell.ring();
        }
    }

    async fn differences(&self, rollout: &Rollout, wanted: &Intent) -> canaryd_engine::Result<Vec<String>> {
        let Spec { image, .. } = &rollout.gateway;
        let found = self.house.engine.image(image).await?;
        let settings = self.settings(&Choices::of(rollout), wanted);
        let plan = plan_of(&settings, &self.dir, found.map_or_else(|| image.clone(), |i| i.id));
        Ok(self.house.engine.ensure_gateway(&plan).await?.drift)
    }
}

fn in_words(differences: &[String], name: &str) -> Option<String> {
    // The most telling one; that the digest differs follows from every other.
    let what = differences.iter().find(|what| !what.starts_with("settings")).or(differences.first())?;
    Some(format!(
        "gateway: it was made with {what}; that is fixed until its container is made anew: docker rm -f {name}-gateway (nobody is answered for a moment)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_difference_is_no_news_and_one_says_what_makes_it_count() {
        assert_eq!(in_words(&[], "shop"), None);
        let differences = ["settings".to_owned(), "published ports 127.0.0.1:80, planned 127.0.0.1:81".to_owned()];
        let said = in_words(&differences, "shop").unwrap();
        assert!(said.contains("planned 127.0.0.1:81") && said.contains("docker rm -f shop-gateway"), "{said}");
    }
}
