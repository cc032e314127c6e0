//! PROMETHEE II (Brans, Vincke, Management Science 31, 1985): alternatives are compared pair by pair, criterion by criterion.

/// A criterion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Criterion {
    /// How much it counts; weights need not sum to one.
    pub weight: f64,
    /// Up to this difference, neither is preferred.
    pub indifference: f64,
    /// From this difference on, one is preferred wholly; linear in between.
    pub preference: f64,
}

impl Criterion {
    /// How much the one that is better by `difference` is preferred: from 0 to 1.
    #[must_use]
    pub fn preferred(&self, difference: f64) -> f64 {
        if difference <= self.indifference {
            0.0
        } else if difference >= self.preference {
            1.0
        } else {
            (difference - self.indifference) / (self.preference - self.indifference)
        }
    }
}

/// The net flow of each alternative: how much it is preferred to others, less how much others are to it, on average. They
/// sum to zero. Rows are alternatives, columns criteria, more is better.
#[must_use]
pub fn net_flows(table: &[Vec<f64>], criteria: &[Criterion]) -> Vec<f64> {
    let weights: f64 = criteria.iter().map(|criterion| criterion.weight).sum();
    let others = table.len().saturating_sub(1).max(1) as f64;
    let over = |a: &[f64], b: &[f64]| {
        let one =
            |((a, b), criterion): ((&f64, &f64), &Criterion)| criterion.weight * criterion.preferred(a - b);
        a.iter().zip(b).zip(criteria).map(one).sum::<f64>() / weights
    };
    let flow = |a: &Vec<f64>| table.iter().map(|b| over(a, b) - over(b, a)).sum::<f64>() / others;
    table.iter().map(flow).collect()
}

/// Alternatives by net flow, the best first, of equals the first; differences of 5 % of the range of a criterion do not
/// count, those of 30 % count wholly.
#[must_use]
pub fn ranked(table: &[Vec<f64>], weights: &[f64]) -> Vec<usize> {
    let criterion = |(column, weight): (usize, &f64)| {
        let values = || table.iter().map(|row| row[column]);
        let range = values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min);
        Criterion { weight: *weight, indifference: 0.05 * range, preference: 0.3 * range }
    };
    let criteria: Vec<Criterion> = weights.iter().enumerate().map(criterion).collect();
    let flows = net_flows(table, &criteria);
    let mut order: Vec<usize> = (0..table.len()).collect();
    order.sort_by(|a, b| flows[*b].total_cmp(&flows[*a]).then(a.cmp(b)));
    order
}

#[cfg(test)]
mod tests {
    use super::{Criterion, net_flows, ranked};

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }

    #[test]
    fn preference_is_linear_between_indifference_and_preference() {
        let it = Criterion { weight: 1.0, indifference: 2.0, preference: 6.0 };
        for (difference, known) in [(-9.0, 0.0), (0.0, 0.0), (2.0, 0.0), (3.0, 0.25), (5.0, 0.75), (6.0, 1.0)]
        {
            near(it.preferred(difference), known);
        }
        // Where there is no range nobody is preferred; without indifference any difference counts.
        near(Criterion { indifference: 0.0, preference: 0.0, ..it }.preferred(0.0), 0.0);
        near(Criterion { indifference: 0.0, preference: 0.0, ..it }.preferred(0.1), 1.0);
    }

    #[test]
    fn net_flows_of_an_example_are_as_worked_out_by_hand_and_sum_to_zero() {
        let criteria = [
            Criterion { weight: 0.6, indifference: 0.0, preference: 10.0 },
            Criterion { weight: 0.4, indifference: 1.0, preference: 3.0 },
        ];
        // π(1,2) = 0.6 × 0.5, π(2,1) = 0.4 × 0.5, π(1,3) = 0.6, π(3,1) = 0.4 × 1, π(2,3) = 0.6 × 0.5, π(3,2) = 0.4 × 0.5.
        let table = [vec![20.0, 1.0], vec![15.0, 3.0], vec![10.0, 5.0]];
        let flows = net_flows(&table, &criteria);
        near(flows[0], (0.3 + 0.6 - 0.2 - 0.4) / 2.0);
        near(flows[1], (0.2 + 0.3 - 0.3 - 0.2) / 2.0);
        near(flows[2], (0.4 + 0.2 - 0.6 - 0.3) / 2.0);
        near(flows.iter().sum(), 0.0);
        // Weights are shares of their sum; more of the same differs by nothing.
        let double = criteria.map(|it| Criterion { weight: it.weight * 2.0, ..it });
        net_flows(&table, &double).iter().zip(&flows).for_each(|(a, b)| near(*a, *b));
        assert_eq!(net_flows(&[vec![1.0, 1.0]], &criteria), [0.0]);
    }

    #[test]
    fn net_flows_are_between_minus_one_and_one_and_the_best_in_all_is_first() {
        let mut random = crate::simulator::random::Random::new(1, 1);
        for _ in 0..50 {
            let mut table: Vec<Vec<f64>> =
                (0..12).map(|_| (0..4).map(|_| random.fraction()).collect()).collect();
            table[7] = vec![2.0; 4];
            table[3] = vec![-1.0; 4];
            let criteria =
                [0.4, 0.3, 0.2, 0.1].map(|weight| Criterion { weight, indifference: 0.05, preference: 0.3 });
            let flows = net_flows(&table, &criteria);
            near(flows.iter().sum(), 0.0);
            assert!(flows.iter().all(|flow| flow.abs() <= 1.0 + 1e-12));
            near(flows[7], 1.0);
            near(flows[3], -1.0);
            let order = ranked(&table, &[0.4, 0.3, 0.2, 0.1]);
            assert_eq!((order[0], order[11]), (7, 3));
        }
    }
}
