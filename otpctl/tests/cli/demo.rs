//! The demonstrations.

use crate::world::on_a_machine;

#[test]
fn demo_totp_accepts_a_code_once() {
    on_a_machine(|machine| {
        let steps = machine.json(&["demo", "totp"]);
        let steps = steps["steps"].as_array().unwrap();
        let named = |name: &str| -> Vec<&serde_json::Value> {
            steps.iter().filter(|step| step["step"] == name).collect()
        };
        assert_eq!(named("checks").len(), 3);
        let code = &named("code")[0]["code"];
        assert_eq!(
            (&named("accepted")[0]["code"], &named("refused")[0]["code"]),
            (code, code)
        );
        assert_eq!(named("refused")[0]["reason"], "used");
        let told = machine.otpctl(&["demo", "totp"]).exits(0);
        for word in ["secret", "unix time", "step", "code", "accepted", "used"] {
            assert!(told.out.contains(word), "{word}: {told:?}");
        }
        assert!(told.err.is_empty());
    });
}

#[test]
fn demo_stored_shows_once_attempts_and_expiry() {
    on_a_machine(|machine| {
        let steps = machine.json(&["demo", "stored"]);
        let story: Vec<String> = steps["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| {
                let reason = step["reason"].as_str().unwrap_or("");
                format!("{} {reason}", step["step"].as_str().unwrap())
                    .trim()
                    .to_owned()
            })
            .collect();
        assert_eq!(
            story,
            [
                "issues",
                "accepted",
                "refused used",
                "issues",
                "refused mismatch",
                "attempts",
                "waits",
                "refused expired",
                "sends",
                "not sent too-soon",
                "refused mismatch",
                "attempts",
                "waits",
                "sends",
                "refused mismatch",
                "attempts",
                "accepted"
            ]
        );
        assert_eq!(steps["steps"][0]["code"].as_str().unwrap().len(), 6);

        // The newer takes the place of the older; what was counted goes on.
        let steps = &steps["steps"];
        let (first, second) = (&steps[8], &steps[13]);
        assert_eq!(first["id"], second["id"]);
        assert_ne!(first["code"], second["code"]);
        assert_eq!((&first["sends"], &second["sends"]), (&1.into(), &2.into()));
        assert_eq!(first["sent_to"], "+49…4711");
        assert_eq!(steps[14]["code"], first["code"]);
        assert_eq!(
            (&steps[11]["attempts"], &steps[15]["attempts"]),
            (&1.into(), &2.into())
        );
        assert_eq!(steps[16]["code"], second["code"]);
    });
}
