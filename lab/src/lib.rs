//! Reproducible network faults in namespaces, with ground-truth labels.
