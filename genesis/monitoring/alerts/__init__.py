"""Alerts: one outbox, any number of channels, nothing lost and nothing critical kept back.

    RaisedAlert ─► queue ─► outbox (stored, chained) ─► routing ─► lanes ─► channels
    run's log ──► feed ──┘        ▲ acknowledgements        └ a channel that fails: the next one

`dispatcher.AlertDispatcher` is the sink that a process gives to whoever raises alerts;
`genesis.system.alerts` puts it together for a workspace.
"""
