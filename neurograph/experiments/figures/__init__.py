"""What each kind of experiment computes and draws; `neurograph.experiments.documents.Module` is what each defines."""
