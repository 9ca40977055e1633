//! The page of one Rollout: a tree of what runs where, how far it is, why, and what comes next.
//!
//! It shows at most the last decisions; the record has them all.

use super::{
    Line, Scene, Tone,
    age::{clock, length},
    conditions, evidence, next, steps,
};
use crate::api::{Percent, Phase};

/// Decisions shown, newest last.
const DECISIONS: usize = 5;

struct Node {
    line: Line,
    children: Vec<Node>,
}

impl Node {
    fn leaf(line: Line) -> Self {
        Self { line, children: Vec::new() }
    }

    fn section(line: Line, children: Vec<Line>) -> Self {
        Self { line, children: children.into_iter().map(Self::leaf).collect() }
    }
}

/// The lines of the page.
pub fn tree(scene: &Scene) -> Vec<Line> {
    let sections = [release(scene), revisions(scene), run(scene), evidence(scene), decisions(scene), problems(scene)];
    let sections: Vec<Node> = sections.into_iter().flatten().collect();
    let mut lines = vec![heading(scene)];
    if !scene.message().is_empty() && !conditions::says_message(scene) {
        let branch = if sections.is_empty() { "   " } else { "│  " };
        lines.push(Line::plain(scene.message()).behind(branch));
    }
    draw(sections, "", &mut lines);
    lines.extend(
        conditions::hints(scene).into_iter().map(|hint| Line::toned(Tone::Good, "hint: ").and(Tone::Plain, hint)),
    );
    lines
}

fn draw(nodes: Vec<Node>, indent: &str, lines: &mut Vec<Line>) {
    let count = nodes.len();
    for (index, node) in nodes.into_iter().enumerate() {
        let (branch, below) = if index + 1 == count { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(node.line.behind(&format!("{indent}{branch}")));
        draw(node.children, &format!("{indent}{below}"), lines);
    }
}

fn heading(scene: &Scene) -> Line {
    let (tone, word) = match scene.phase() {
        Some(phase) => (phase_tone(phase), format!("{phase:?}")),
        None => (Tone::Attention, "not observed yet".into()),
    };
    let line = Line::plain("Rollout ").and(Tone::Strong, format!("{}/{}", scene.namespace(), scene.name()));
    line.and(Tone::Plain, "  ").and(tone, word)
}

pub(super) const fn phase_tone(phase: Phase) -> Tone {
    match phase {
        Phase::Healthy => Tone::Good,
        Phase::Degraded => Tone::Bad,
        Phase::Paused | Phase::Pending | Phase::Terminating => Tone::Attention,
        Phase::Progressing | Phase::Soaking | Phase::Finishing => Tone::Strong,
    }
}

fn release(scene: &Scene) -> Option<Node> {
    let release = scene.rollout.status.as_ref()?.release.as_ref()?;
    let id = release.id.as_ref().or(release.revision.as_ref())?;
    let outcome = release.outcome.map_or("open", steps::outcome_word);
    Some(Node::leaf(Line::plain(format!("Release    {id}, {outcome}"))))
}

fn revisions(scene: &Scene) -> Option<Node> {
    let status = scene.rollout.status.as_ref()?;
    let running = scene.run.filter(|_| scene.is_running());
    let stable = running.map(|run| &run.spec.stable).or(status.stable_revision.as_ref());
    let canary =
        running.map(|run| &run.spec.canary).or(status.canary_revision.as_ref()).filter(|it| Some(*it) != stable);
    let weight = scene.weight();
    let baseline = running.and_then(|run| run.spec.baseline.as_ref());
    let of_baseline = running.map_or(Percent::ZERO, |run| run.spec.baseline_at(weight));
    let of_stable = Percent::from_thousandths(weight.rest().thousandths() - of_baseline.thousandths());
    let known = [("stable", stable, of_stable), ("baseline", baseline, of_baseline), ("canary", canary, weight)];
    let mut rows: Vec<(&str, &String, Option<Percent>)> = Vec::new();
    rows.extend(known.into_iter().filter_map(|(role, revision, share)| Some((role, revision?, Some(share)))));
    let others = scene.pods.iter().filter(|(revision, pods)| {
        ![stable, baseline, canary].contains(&Some(*revision)) && (pods.desired > 0 || pods.ready > 0)
    });
    rows.extend(others.map(|(revision, _)| ("other", revision, None)));
    let longest = |of: fn(&(&str, &String, Option<Percent>)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let widths = (longest(|row| row.0.len()).max(6), longest(|row| row.1.len()).max(10));
    let lines = rows.iter().map(|row| revision_line(scene, *row, widths)).collect();
    (!rows.is_empty()).then(|| Node::section(Line::plain("Revisions"), lines))
}

fn revision_line(
    scene: &Scene,
    (role, revision, share): (&str, &String, Option<Percent>),
    (role_width, revision_width): (usize, usize),
) -> Line {
    let pods = scene.pods.get(revision).copied().unwrap_or_default();
    let share = share.map_or(String::new(), |share| format!("{share} %"));
    let tone = if pods.ready < pods.desired { Tone::Attention } else { Tone::Plain };
    Line::plain(format!("{role:<role_width$}  {revision:<revision_width$}  {share:>7}  "))
        .and(tone, format!("{} of {} pods ready", pods.ready, pods.desired))
}

fn run(scene: &Scene) -> Option<Node> {
    let run = scene.run?;
    let mut lines = steps::steps(scene);
    if let Some(next) = next::next(scene) {
        lines.push(Line::toned(Tone::Strong, "next: ").and(Tone::Plain, next));
    }
    Some(Node::section(Line::plain(format!("Run        {}", steps::title(scene, run))), lines))
}

fn evidence(scene: &Scene) -> Option<Node> {
    let record = scene.record()?.evidence.as_ref()?;
    Some(Node::section(evidence::title(record), evidence::lines(record)))
}

fn decisions(scene: &Scene) -> Option<Node> {
    let log = &scene.record()?.decisions;
    let last = log.entries.iter().skip(log.entries.len().saturating_sub(DECISIONS));
    let lines: Vec<Line> = last
        .map(|entry| {
            let at = clock(&entry.at, scene.now);
            Line::toned(Tone::Faint, format!("{at}  "))
                .and(Tone::Plain, format!("{}: {}", entry.reason.word(), entry.message))
        })
        .collect();
    let before = log.entries.len() - lines.len() + log.dropped as usize;
    let before = if before > 0 { format!(", {before} before these") } else { String::new() };
    (!lines.is_empty()).then(|| Node::section(Line::plain(format!("Decisions  times in UTC{before}")), lines))
}

fn problems(scene: &Scene) -> Option<Node> {
    let mut children: Vec<Node> = Vec::new();
    if let Some(since) = deleting_for(scene) {
        children.push(Node::leaf(Line::plain(format!("being deleted{since}"))));
    }
    children.extend(conditions::abnormal(scene).into_iter().map(|(line, lines)| Node::section(line, lines)));
    (!children.is_empty()).then(|| Node { line: Line::plain("Problems"), children })
}

fn deleting_for(scene: &Scene) -> Option<String> {
    let at = scene.rollout.metadata.deletion_timestamp.as_ref()?;
    Some(scene.now.map_or(String::new(), |now| format!(" for {}", length(super::age::between(at.0, now)))))
}
