//! netprecursor for humans: demo, lab, dataset, record, replay, model.

fn main() {}
