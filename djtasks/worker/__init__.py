"""The runtime: a supervisor that holds leases, a consumer that reserves and settles, pools in which bodies run."""
