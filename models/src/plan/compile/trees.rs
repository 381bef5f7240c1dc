//! Tree ensembles: regressors, whose targets become columns, and classifiers, which also name a class.

use super::super::step::Step;
use super::{Compiler, Value};
use crate::Refusal;
use crate::contract::{Node, limits};
use crate::forest::{Ensemble, Forest, Labels};

impl<'a> Compiler<'a> {
    /// A regressor: one column per target.
    pub(super) fn forest(&mut self, node: &Node<'_>, ensemble: &Ensemble) -> Result<Value, Refusal> {
        let forest = self.plant(node, ensemble)?;
        let targets = self.forests[forest].targets();
        let (from, ..) = self.rows(node, 0)?;
        self.step(Step::Forest { forest, from }, targets, false)
    }

    /// A classifier: its first output is the class, its second the scores, one column per class. Either may be unused.
    pub(super) fn classifier(&mut self, node: &Node<'a>) -> Result<(), Refusal> {
        let labels = Labels::read(node)?;
        let count = labels.len();
        let forest = self.plant(node, &Ensemble::classifier(node, &labels)?)?;
        let (from, ..) = self.rows(node, 0)?;
        let predicted = self.step(Step::Forest { forest, from }, count + 1, false)?;
        let Value::Rows { from, .. } = predicted else {
            return Err(node.refuse("no rows", "rows"));
        };
        let [class, scores @ ..] = node.outputs.as_slice() else {
            return Err(node.refuse("no outputs", "the class, and the scores"));
        };
        if scores.len() > 1 {
            return Err(node.refuse(&format!("{} outputs", node.outputs.len()), "the class, and the scores"));
        }
        if !class.is_empty()
            && let Value::Rows { from, .. } = self.pick(from, vec![count], true)?
        {
            self.values.insert(class, Value::Classes { from, labels });
        }
        for name in scores.iter().filter(|name| !name.is_empty()) {
            let value = self.pick(from, (0..count).collect(), false)?;
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// Lays an ensemble out over the node's input; its position among the forests.
    fn plant(&mut self, node: &Node<'_>, ensemble: &Ensemble) -> Result<usize, Refusal> {
        let (_, width, flat) = self.rows(node, 0)?;
        let forest = Forest::new(ensemble)?;
        if flat || forest.columns() > width {
            return Err(Refusal::TreeIndex {
                node: node.label(),
                attribute: "nodes_featureids",
                got: (forest.columns().saturating_sub(1)).to_string(),
                expected: format!("0 to {} by the input [N, {width}]", width - 1),
            });
        }
        let comparisons: usize = self.forests.iter().chain([&forest]).flat_map(Forest::depths).sum();
        let limit = limits::COMPARISONS_PER_ROW;
        if comparisons > limit {
            return Err(Refusal::TreeDepth { node: node.label(), got: comparisons, limit });
        }
        self.forests.push(forest);
        Ok(self.forests.len() - 1)
    }
}
