//! scratch
use netprecursor_agent::{
    sensors::suite::Suite,
    targets::namespace::{Namespace, named},
};
use netprecursor_core::signal::{Signal, Signals};
use std::time::{Duration, Instant};
fn main() {
    let mut s = Suite::start();
    for st in s.statuses() {
        println!("{} {}", st.name, st.state);
    }
    let pat = std::env::args().nth(1).unwrap_or_default();
    let mut places = vec![];
    for (n, _) in named().unwrap() {
        if n.starts_with(&pat) {
            places.push((n.clone(), s.watch(places.len() as u32, Namespace::enter(&n).unwrap())));
        }
    }
    for _ in 0..std::env::args().nth(2).and_then(|x| x.parse().ok()).unwrap_or(10) {
        std::thread::sleep(Duration::from_secs(1));
        let t = Instant::now();
        let e = s.end_tick(1.0);
        let mut sig = Signals::ABSENT;
        for (n, p) in &places {
            let seen = s.read(*p, e, &mut sig);
            let txt: Vec<String> = Signal::ALL
                .iter()
                .map(|x| (x, sig.get(*x)))
                .filter(|(_, v)| v.is_finite() && *v != 0.0)
                .map(|(x, v)| format!("{}={:.4}", x.name(), v))
                .collect();
            println!("{n} {:?} {}", seen.coverage, txt.join(" "));
        }
        println!("-- {:?}", t.elapsed());
    }
    for st in s.statuses() {
        println!("{} {}", st.name, st.state);
    }
}
