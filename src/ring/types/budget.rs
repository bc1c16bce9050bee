//! How far each author has pushed one of the node's clocks.
//!
//! The room itself moves its clock and its rounds by ones. A peer that names a number far ahead may have seen more (a
//! partition has ended), or may lie. So that many lies amount to no more than one, each author has [`JUMP_MAX`] in all,
//! over one run.

use std::collections::BTreeMap;

use crate::ring::types::limits::{JUMP_MAX, PUSHERS_MAX};
use crate::ring::types::proof::AuthorId;

/// The spent budget of each author.
#[derive(Clone, Debug, Default, Hash)]
pub struct Budget {
    spent: BTreeMap<AuthorId, u64>,
}

impl Budget {
    /// Takes `much` from an author's budget. `false`: less is left, and nothing is taken.
    pub fn spend(&mut self, author: AuthorId, much: u64) -> bool {
        if much == 0 {
            return true;
        }
        let known = self.spent.contains_key(&author);
        let least = self.least().filter(|_| !known && self.spent.len() >= PUSHERS_MAX);
        let before = match least {
            // Metwally, Agrawal, El Abbadi 2005 (Space-Saving): an author that replaces a forgotten one inherits its
            // spent budget. So all authors together spend no more than the whole table.
            Some((_, spent)) => spent,
            None => self.spent.get(&author).copied().unwrap_or(0),
        };
        let Some(after) = before.checked_add(much).filter(|after| *after <= JUMP_MAX) else { return false };
        if let Some((thriftiest, _)) = least {
            self.spent.remove(&thriftiest);
        }
        self.spent.insert(author, after);
        true
    }

    fn least(&self) -> Option<(AuthorId, u64)> {
        self.spent.iter().map(|(&author, &spent)| (author, spent)).min_by_key(|(_, spent)| *spent)
    }

    /// How many authors are known to have pushed.
    pub fn len(&self) -> usize {
        self.spent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_pushes_of_one_author_are_one() {
        let mut budget = Budget::default();
        assert!(budget.spend(AuthorId::of_bits(1), JUMP_MAX - 1));
        assert!(!budget.spend(AuthorId::of_bits(1), 2));
        assert!(budget.spend(AuthorId::of_bits(1), 1));
        assert!(!budget.spend(AuthorId::of_bits(1), 1));
        assert!(!budget.spend(AuthorId::of_bits(2), u64::MAX));
        assert!(budget.spend(AuthorId::of_bits(2), JUMP_MAX));
        assert!(budget.spend(AuthorId::of_bits(1), 0));
    }

    #[test]
    fn who_comes_under_ever_new_names_gets_no_more_than_the_table_holds() {
        let mut budget = Budget::default();
        let mut sum = 0_u64;
        for author in 0..4 * PUSHERS_MAX as u64 {
            sum += if budget.spend(AuthorId::of_bits(author), JUMP_MAX) { JUMP_MAX } else { 0 };
        }
        assert_eq!((sum, budget.len()), (JUMP_MAX * PUSHERS_MAX as u64, PUSHERS_MAX));
        assert!(!budget.spend(AuthorId::of_bits(u64::MAX), 1));
    }

    #[test]
    fn a_full_table_forgets_the_thriftiest_and_counts_on_from_there() {
        let mut budget = Budget::default();
        (0..PUSHERS_MAX as u64).for_each(|author| assert!(budget.spend(AuthorId::of_bits(author), 10 + author)));
        assert!(budget.spend(AuthorId::of_bits(u64::MAX), 5));
        assert_eq!((budget.len(), budget.spent.get(&AuthorId::of_bits(u64::MAX))), (PUSHERS_MAX, Some(&15)));
        assert_eq!(budget.spent.get(&AuthorId::of_bits(0)), None);
    }
}
