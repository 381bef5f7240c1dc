module netprecursor.io/e2e/runc-wrapper

go 1.24.0
