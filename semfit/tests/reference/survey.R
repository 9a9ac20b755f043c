# Reference values for sampling weights, clusters, gaps in ordered variables and ordered mediators: lavaan's answers.
# Run: LAVAAN_NEW=<library with lavaan 0.7-2> Rscript semfit/tests/reference/survey.R (from the root of the repository).
# Without LAVAAN_NEW: the default library (lavaan 0.6-14) and what it knows of the same cases.
# With names of cases, or "differences", only these.
# Makes survey/design.csv (invented weights and clusters for the rows of data_hs, hsmiss and hscat, which are the same
# persons), survey/gaps.csv (data_hscat with the gaps of data_hsmiss), survey/<version>.json and its sessionInfo;
# with 0.7-2 also survey/differences.json (tests between models).
#   <case>: model, data, options (as semfit's fit takes them), estimates (lhs, op, rhs, group, est, se), measures (as
#   lavaan calls them), n. 0.6-14 is told to normalise weights within groups, which 0.7-2 does of itself.
new <- Sys.getenv("LAVAAN_NEW")
suppressMessages({if (nzchar(new)) library(lavaan, lib.loc = new) else library(lavaan); library(jsonlite)})
is_new <- packageVersion("lavaan") >= "0.7"
HERE <- "semfit/tests/reference/survey"
X <- paste0("x", 1:9)
read <- function(name) read.csv(file.path("semfit/tests/reference/estimators", paste0("data_", name, ".csv")))
hs <- read("hs"); hscat <- read("hscat"); hsmiss <- read("hsmiss")
i <- seq_len(nrow(hs))
# classes are 9 rows that follow one another: one of them has pupils of both schools; "room" is nested in school
design <- data.frame(weight = (20 + (37 * i) %% 83 + 30 * hs$female) / 50, class = (i - 1) %/% 9 + 100,
  room = ifelse(hs$school == hs$school[1], 0, 500) + (i * 7) %% 23, times = as.integer((i * 5) %% 4), same = 2.5)
write.csv(design, file.path(HERE, "design.csv"), row.names = FALSE)
gaps <- hscat
gaps[X][is.na(hsmiss[X])] <- NA
gaps$c2[is.na(hsmiss$x4)] <- NA
gaps$ageyr[c(10, 77, 200)] <- NA
write.csv(gaps, file.path(HERE, "gaps.csv"), row.names = FALSE, na = "")
gaps <- read.csv(file.path(HERE, "gaps.csv"))
data <- lapply(list(hs = hs, hsmiss = hsmiss, hscat = hscat, gaps = gaps), cbind, design)
# row 150 has no answer at all: lavaan leaves it out after it has scaled the weights, semfit before
for (name in c("hsmiss", "gaps")) data[[name]] <- data[[name]][-150, ]

HS <- "visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed =~ x7 + x8 + x9"
COVARIATES <- paste(HS, "visual + textual + speed ~ ageyr + female", sep = "\n")
PATHS <- paste(HS, "speed ~ a*visual + b*textual
textual ~ c*visual
ind := c*b", sep = "\n")
MIXED <- sub("x1 + x2 + x3", "c1 + c2 + c3", HS, fixed = TRUE)
MIXED_COVARIATES <- paste(MIXED, "visual + textual + speed ~ ageyr", sep = "\n")
REGRESSION <- "x4 ~ x1 + x2 + female"
OBSERVED <- "x4 ~ a*ageyr + female
x7 ~ b*x4 + ageyr
indirect := a*b"
MEDIATOR <- "visual =~ x1 + x2 + x3
x4 ~ a*visual
x7 ~ b*x4 + d*visual
indirect := a*b
total := d + a*b"
CHAIN <- "visual =~ x1 + x2 + x3
x4 ~ a*visual + ageyr
x5 ~ b*x4 + ageyr + female
c9 ~ d*x5 + e*x4 + visual
long := a*b*d
short := a*e"
NESTED <- "textual =~ x4 + x5 + x6
x1 ~ a*ageyr + female
textual ~ b*x1 + ageyr
indirect := a*b"

case <- function(data, model, ...) list(data = data, model = model, options = list(...))
W <- "weight"; C <- "class"
CASES <- list(
  ml_weights = case("hs", HS, sampling_weights = W),
  mlr_weights = case("hs", HS, estimator = "MLR", sampling_weights = W),
  mlr_weights_means = case("hs", HS, estimator = "MLR", sampling_weights = W, mean_structure = TRUE),
  mlr_weights_covariates = case("hs", COVARIATES, estimator = "MLR", sampling_weights = W),
  mlr_weights_zero = case("hs", HS, estimator = "MLR", sampling_weights = "times"),
  mlr_weights_school = case("hs", HS, estimator = "MLR", sampling_weights = W, group = "school", equal = "loadings"),
  ml_fiml_weights = case("hsmiss", HS, missing = "fiml", sampling_weights = W),
  mlr_fiml_weights = case("hsmiss", HS, estimator = "MLR", missing = "fiml", sampling_weights = W),
  mlr_fiml_weights_covariates = case("hsmiss", COVARIATES, estimator = "MLR", missing = "fiml", sampling_weights = W),
  ml_class = case("hs", HS, cluster = C),
  mlr_class = case("hs", HS, estimator = "MLR", cluster = C),
  mlr_class_paths = case("hs", PATHS, estimator = "MLR", cluster = C, mean_structure = TRUE),
  mlr_class_regression = case("hs", REGRESSION, estimator = "MLR", cluster = C, mean_structure = TRUE),
  mlr_class_school = case("hs", HS, estimator = "MLR", cluster = C, group = "school", equal = "loadings"),
  mlr_room_school = case("hs", HS, estimator = "MLR", cluster = "room", group = "school"),
  ml_fiml_class = case("hsmiss", HS, missing = "fiml", cluster = C),
  mlr_fiml_class = case("hsmiss", HS, estimator = "MLR", missing = "fiml", cluster = C),
  mlr_class_weights = case("hs", HS, estimator = "MLR", cluster = C, sampling_weights = W),
  mlr_fiml_class_weights = case("hsmiss", COVARIATES, estimator = "MLR", missing = "fiml", cluster = C,
    sampling_weights = W),
  wlsmv_weights = case("hscat", HS, estimator = "WLSMV", ordered = X, sampling_weights = W),
  wlsmv_weights_covariates = case("hscat", COVARIATES, estimator = "WLSMV", ordered = X, sampling_weights = W),
  wlsmv_weights_mixed = case("hscat", MIXED_COVARIATES, estimator = "WLSMV", ordered = X[4:9], sampling_weights = W),
  wlsmv_weights_school = case("hscat", HS, estimator = "WLSMV", ordered = X, sampling_weights = W, group = "school"),
  wlsmv_class = case("hscat", HS, estimator = "WLSMV", ordered = X, cluster = C),
  wlsmv_class_mixed = case("hscat", MIXED_COVARIATES, estimator = "WLSMV", ordered = X[4:9], cluster = C),
  wlsmv_class_school = case("hscat", HS, estimator = "WLSMV", ordered = X, cluster = C, group = "school"),
  wlsmv_class_weights = case("hscat", COVARIATES, estimator = "WLSMV", ordered = X, cluster = C, sampling_weights = W),
  pairwise = case("gaps", HS, estimator = "WLSMV", missing = "pairwise", ordered = X),
  pairwise_covariates = case("gaps", COVARIATES, estimator = "WLSMV", missing = "pairwise", ordered = X),
  pairwise_mixed = case("gaps", MIXED, estimator = "WLSMV", missing = "pairwise", ordered = X[4:9]),
  pairwise_mixed_covariates = case("gaps", MIXED_COVARIATES, estimator = "WLSMV", missing = "pairwise",
    ordered = X[4:9]),
  pairwise_school = case("gaps", HS, estimator = "WLSMV", missing = "pairwise", ordered = X, group = "school",
    equal = "loadings"),
  pairwise_class = case("gaps", HS, estimator = "WLSMV", missing = "pairwise", ordered = X, cluster = C),
  pairwise_weights = case("gaps", HS, estimator = "WLSMV", missing = "pairwise", ordered = X, sampling_weights = W),
  mediator = case("hscat", MEDIATOR, estimator = "WLSMV", ordered = c("x1", "x2", "x3", "x4", "x7")),
  mediator_numeric = case("hscat", CHAIN, estimator = "WLSMV", ordered = c("x1", "x2", "x3", "x4", "x5")),
  mediator_observed = case("hscat", OBSERVED, estimator = "WLSMV", ordered = c("x4", "x7")),
  mediator_latent = case("hscat", NESTED, estimator = "WLSMV", ordered = c("x1", "x4", "x5", "x6")),
  mediator_theta = case("hscat", MEDIATOR, estimator = "WLSMV", ordered = c("x1", "x2", "x3", "x4", "x7"),
    parameterization = "theta"),
  mediator_pairwise = case("gaps", NESTED, estimator = "WLSMV", missing = "pairwise", ordered = c("x1", "x4", "x5", "x6"),
    parameterization = "theta"),
  mediator_school = case("hscat", NESTED, estimator = "WLSMV", ordered = c("x1", "x4", "x5", "x6"), group = "school"))

arguments <- function(case) {
  o <- case$options
  call <- list(model = case$model, data = data[[case$data]], estimator = o$estimator, missing = o$missing,
    group = o$group, group.equal = o$equal, ordered = o$ordered, sampling.weights = o$sampling_weights,
    cluster = o$cluster, parameterization = o$parameterization, meanstructure = o$mean_structure, fixed.x = TRUE)
  if (!is.null(o$sampling_weights) && !is_new) call$sampling.weights.normalization <- "group"
  Filter(Negate(is.null), call)
}
# as in estimators.R: nlminb's end, then Newton steps to a gradient of zero; lavaan computes all else at that point
gradient_at <- function(fit, x) {
  model <- lavaan:::lav_model_set_parameters(fit@Model, x)
  parts <- list(model, lavsamplestats = fit@SampleStats, lavdata = fit@Data, lavcache = fit@Cache, type = "free")
  by <- !fit@SampleStats@missing.flag
  full <- if (is_new) do.call(lavaan:::lav_model_grad, c(parts, group_weight = by))
    else do.call(lavaan:::lav_model_gradient, c(parts, group.weight = by))
  as.numeric(full %*% free_directions(fit))
}
free_directions <- function(fit) if (fit@Model@eq.constraints) fit@Model@eq.constraints.K else diag(fit@Model@nx.free)
newton <- function(fit, steps = 4, h = 1e-5) {
  K <- free_directions(fit)
  x <- as.numeric(coef(fit))
  hessian <- sapply(seq_len(ncol(K)), function(j)
    (gradient_at(fit, x + h * K[, j]) - gradient_at(fit, x - h * K[, j])) / (2 * h))
  for (step in seq_len(steps)) x <- x - as.numeric(K %*% solve(hessian, gradient_at(fit, x)))
  stopifnot(max(abs(gradient_at(fit, x))) < 1e-9, abs(x - as.numeric(coef(fit))) < 1e-2)
  x
}
polished <- function(case) {
  first <- suppressWarnings(do.call("sem", c(arguments(case), se = "none", test = "none")))
  start <- parTable(first)
  start$est[start$free > 0] <- newton(first)[start$free[start$free > 0]]
  suppressWarnings(do.call("sem", c(arguments(case), list(start = start, optim.method = "none"))))
}
# lavaan's derivatives (its "Delta") leave out that the residual variance of an ordered mediator follows from the paths
# to it, although its implied moments do not: its end is then no minimum, and its standard errors are of other
# derivatives. Here, for one group: the minimum of its own function, from its own moments, weights and Gamma, by
# Gauss-Newton steps with derivatives by differences, and the robust standard errors there.
exactly <- function(fit) {
  moments <- function(x) unlist(lavaan:::lav_model_wls_est(lavaan:::lav_model_set_parameters(fit@Model, x)))
  slopes <- function(x, h = 1e-5) sapply(seq_along(x), function(j) {
    e <- replace(0 * x, j, h)
    (moments(x + e) - moments(x - e)) / (2 * h)
  })
  observed <- unlist(fit@SampleStats@WLS.obs)
  weights <- fit@SampleStats@WLS.VD[[1]]
  x <- as.numeric(coef(fit))
  for (step in 1:100) {
    delta <- slopes(x)
    x <- x + solve(crossprod(delta, weights * delta), crossprod(delta, weights * (observed - moments(x))))[, 1]
  }
  delta <- slopes(x)
  bread <- solve(crossprod(delta, weights * delta))
  cov <- bread %*% crossprod(weights * delta, fit@SampleStats@NACOV[[1]] %*% (weights * delta)) %*% bread
  n <- lavInspect(fit, "ntotal")
  table <- parTable(fit)
  table <- as.data.frame(table)[table$free > 0, c("lhs", "op", "rhs", "group")]
  list(estimates = data.frame(table, est = clean(x), se = clean(sqrt(diag(cov) / (n - 1)))),
    chisq = clean((n - 1) * sum(weights * (observed - moments(x))^2)),
    gap = max(abs(delta - unclass(fit@Model |> lavaan:::lav_model_delta() |> (\(d) d[[1]])()))))
}
clean <- function(x) ifelse(is.finite(x), signif(x, 12), NA)
answer <- function(case) {
  fit <- polished(case)
  e <- parameterEstimates(fit, remove.nonfree = FALSE)
  estimates <- data.frame(lhs = e$lhs, op = e$op, rhs = e$rhs, group = if (is.null(e$group)) 1L else e$group,
    est = clean(e$est), se = clean(e$se))
  measures <- unclass(fitMeasures(fit))
  measures <- measures[!grepl("browne|conditional", names(measures))]
  list(model = case$model, data = case$data, options = case$options, estimates = estimates,
    measures = as.list(setNames(clean(measures), names(measures))), n = sum(lavInspect(fit, "nobs")),
    se = lavInspect(fit, "options")$se, test = lavInspect(fit, "options")$test,
    exact = if (is_new && is.null(case$options$parameterization) && case$model %in% c(MEDIATOR, CHAIN)) exactly(fit))
}
run <- function(name) tryCatch(answer(CASES[[name]]), error = function(e) {
  message(name, ": ", conditionMessage(e)); NULL})
wanted <- commandArgs(TRUE)
chosen <- if (length(wanted)) intersect(wanted, names(CASES)) else names(CASES)
# 0.6-14 gives the residual variance of an ordered mediator as if it had none
if (!is_new) chosen <- grep("mediator", chosen, value = TRUE, invert = TRUE)
answers <- Filter(Negate(is.null), sapply(chosen, run, simplify = FALSE))
version <- if (is_new) "lavaan_0_7" else "lavaan_0_6"
save <- function(x, name) write_json(x, file.path(HERE, paste0(name, ".json")), auto_unbox = TRUE, digits = NA,
  na = "null", null = "null", pretty = FALSE)
if (length(chosen)) save(answers, paste0(version, if (length(wanted)) "_some" else ""))

# tests between two models, of which the smaller one has equal loadings; lavTestLRT's default (2001; 2000 for WLSMV)
EQUAL <- sub("x2 + x3", "a*x2 + a*x3", sub("x5 + x6", "b*x5 + b*x6", HS, fixed = TRUE), fixed = TRUE)
difference <- function(name) {
  larger <- CASES[[name]]
  smaller <- modifyList(larger, list(model = EQUAL))
  test <- lavTestLRT(polished(larger), polished(smaller), A.method = "delta")
  list(smaller = EQUAL, chisq = clean(test[2, "Chisq diff"]), df = test[2, "Df diff"])
}
COMPARED <- c("mlr_weights", "mlr_class", "mlr_class_weights", "mlr_fiml_class", "wlsmv_weights", "wlsmv_class", "pairwise")
if (is_new && (!length(wanted) || "differences" %in% wanted))
  save(sapply(COMPARED, difference, simplify = FALSE), "differences")
writeLines(capture.output(sessionInfo()), file.path(HERE, paste0(version, "_sessionInfo.txt")))
