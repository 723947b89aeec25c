"""The paper gateway: an exchange that fills orders from the bars it is shown."""
