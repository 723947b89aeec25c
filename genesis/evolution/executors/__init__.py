"""Where units of work run: in the driver, in processes of this machine, on a Ray cluster."""
