# The same models by two generations of lavaan: 0.6-14 and 0.7-2. Run it once with each, from the root of the repository:
#   Rscript semfit/tests/reference/versions.R                            lavaan of R's own library
#   LAVAAN_NEW=<library> Rscript semfit/tests/reference/versions.R       lavaan of that library
# Makes versions/lavaan_<version>.json and versions/sessionInfo_<version>.txt. 0.7-2 is not on CRAN for R 4.2: its public
# repository (yrosseel/lavaan, commit 828e6ec0 of 14 August 2026, "0.7-2.3170") installs there with R CMD INSTALL.
# Models, data and options are those of estimators/*.json and sem_*.json; each version searches for itself, from its own
# starting values. A case holds the options, estimates (rows: lhs, op, rhs, group label, est, se) and all of
# fitMeasures(). Missing is null. Twelve significant digits.
library(jsonlite)
NEW <- Sys.getenv("LAVAAN_NEW")
suppressMessages(if (nzchar(NEW)) library(lavaan, lib.loc = NEW) else library(lavaan))
OUT <- "semfit/tests/reference"
HERE <- file.path(OUT, "versions")
VERSION <- if (packageVersion("lavaan") >= "0.7") "0.7-2" else as.character(packageVersion("lavaan"))
VERSION <- sub("^0\\.6\\.", "0.6-", VERSION)
read_case <- function(file) fromJSON(file, simplifyVector = TRUE)

SLOW <- "bfi_mlr_fiml|wave2012_m.*_fiml"  # minutes each; models like them are there on other data
# ---- the cases of the other scripts ---------------------------------------------------------------------------------
estimators <- function() {
  files <- Filter(function(f) grepl("_(listwise|fiml)", f) && !grepl(SLOW, f), Sys.glob(file.path(OUT, "estimators",
    "*.json")))
  setNames(lapply(files, function(file) {
    case <- read_case(file)
    c(list(model = case$model, data = file.path("estimators", paste0("data_", case$data, ".csv"))),
      case$options[c("estimator", "missing", "meanstructure", "group", "group_equal", "group_partial", "ordered")])
  }), sub(".json", "", basename(files), fixed = TRUE))
}
plain <- function() {
  files <- Sys.glob(file.path(OUT, "sem_*.json"))
  setNames(lapply(files, function(file) {
    name <- sub("^sem_", "", sub(".json", "", basename(file), fixed = TRUE))
    data <- if (name == "gebruiksmodel") "simulated" else strsplit(name, "_")[[1]][1]
    list(model = read_case(file)$model, data = paste0("sem_", data, ".csv"), estimator = "ML", missing = "listwise",
      meanstructure = FALSE, keep = if (name == "hs_heywood") "Pasteur")
  }), sub(".json", "", basename(files), fixed = TRUE))
}

# mixed: ordered and numeric variables together, with and without covariates and groups
mixed <- function() {
  half <- "visual =~ c1 + c2 + c3\ntextual =~ x4 + x5 + x6\nspeed =~ c7 + c8 + x9"
  case <- function(model, ordered, group = NULL, equal = character()) list(model = model,
    data = "estimators/data_hscat.csv", estimator = "WLSMV", missing = "listwise", meanstructure = TRUE, group = group,
    group_equal = equal, ordered = ordered)
  four <- c("x4", "x5", "x6", "x9")
  given <- "visual + textual + speed ~ ageyr + female"
  list(mixed_half = case(half, four), mixed_paths = case(paste(half, "speed ~ visual + textual", sep = "\n"), four),
    mixed_one_ordered = case("visual =~ c1 + c2 + c3\ntextual =~ x4 + c5 + c6", "x4"),
    mixed_covariates = case(paste(half, given, sep = "\n"), four),
    mixed_group = case(half, four, "school"), mixed_group_loadings = case(half, four, "school", "loadings"),
    ordered_group_covariates = case(paste("visual =~ x1 + x2 + x3\nspeed =~ x7 + x8 + x9",
      "visual + speed ~ ageyr", sep = "\n"), paste0("x", c(1:3, 7:9)), "school"))
}

# ---- fit ------------------------------------------------------------------------------------------------------------
fitted <- function(case) {
  d <- read.csv(file.path(OUT, case$data))
  if (!is.null(case$keep)) d <- d[d$school == case$keep, ]
  a <- list(model = case$model, data = d, estimator = case$estimator, missing = case$missing,
    meanstructure = case$meanstructure, fixed.x = TRUE)
  if (VERSION == "0.7-2") a$bad.marker.crit <- 0  # else it changes the marker of a latent variable whose first item is poor
  if (case$missing == "fiml") a <- c(a, if (VERSION == "0.7-2") list(em.h1.args = list(max_iter = 20000, tol = 1e-12))
    else list(em.h1.iter.max = 20000, em.h1.tol = 1e-12))
  if (length(case$ordered)) a$ordered <- case$ordered
  if (length(case$group)) a$group <- case$group
  if (length(case$group_equal)) a$group.equal <- case$group_equal
  # 0.7 frees the intercepts of later groups where thresholds are equal, unless it is asked not to
  if (VERSION == "0.7-2" && "thresholds" %in% case$group_equal) a$group.equal <- c(case$group_equal, "intercepts")
  if (length(case$group_partial)) a$group.partial <- case$group_partial
  if (case$estimator != "WLSMV") return(suppressWarnings(do.call("sem", a)))
  # nlminb with tolerances, tighter ones of which may end without a verdict, each from the best end so far
  best <- NULL
  for (tolerance in c(1e-10, 1e-12, 1e-14, 1e-15)) {
    again <- c(a, list(se = "none", test = "none", control = list(rel.tol = tolerance, iter.max = 20000)))
    if (!is.null(best)) again$start <- parTable(best)
    fit <- suppressWarnings(do.call("sem", again))
    if (!lavInspect(fit, "converged")) next
    if (is.null(best) || largest_gradient(fit) < largest_gradient(best)) best <- fit
  }
  start <- parTable(best)
  suppressWarnings(do.call("sem", c(a, list(start = start, optim.method = "none", optim.force.converged = TRUE))))
}
largest_gradient <- function(fit) max(abs(lavInspect(fit, "gradient")))
answers <- function(name, case) {
  fit <- fitted(case)
  stopifnot(lavInspect(fit, "converged"))
  table <- as.data.frame(parameterEstimates(fit))
  labels <- lavInspect(fit, "group.label")
  group <- if (length(labels)) c("", as.character(labels))[table$group + 1] else ""
  estimates <- data.frame(lhs = table$lhs, op = table$op, rhs = table$rhs, group = group, est = table$est,
    se = if (is.null(table$se)) NA else table$se)
  measures <- suppressWarnings(fitMeasures(fit))
  cat(name, "\n")
  c(case, list(version = as.character(packageVersion("lavaan")), gradient = largest_gradient(fit),
    estimates = as.list(estimates), measures = as.list(unclass(measures))))
}
cases <- c(estimators(), plain(), mixed())
wanted <- commandArgs(TRUE)
if (length(wanted)) cases <- cases[wanted]
result <- Map(answers, names(cases), cases)
dir.create(HERE, showWarnings = FALSE)
write(toJSON(result, digits = I(12), na = "null", null = "null", auto_unbox = TRUE),
  file.path(HERE, paste0("lavaan_", VERSION, if (length(wanted)) "_part", ".json")))
if (!length(wanted)) writeLines(sub(" /.*/", " ", capture.output(sessionInfo())),
  file.path(HERE, paste0("sessionInfo_", VERSION, ".txt")))
