# Reference values of semfit.fitting.modification: lavaan's modification indices of models that estimators.R does not have
# (groups, second order, observed variables in regressions, single indicators, what is fixed).
# Run: Rscript semfit/tests/reference/modification.R (from the root of the repository). Makes modification.json and
# modification_sessionInfo.txt. Data: estimators/data_<name>.csv. Each fit is polished by Newton steps, as there.
suppressMessages({library(lavaan); library(jsonlite)})
options(warn = 1)
OUT <- "semfit/tests/reference"
read <- function(name) read.csv(file.path(OUT, "estimators", paste0("data_", name, ".csv")))

HS <- "visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed =~ x7 + x8 + x9"
COVARIATES <- paste(HS, "visual + textual + speed ~ ageyr + female", sep = "\n")
CAUSES <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nvisual ~ ageyr + female\ntextual ~ visual + female"
case <- function(data, model, ...) list(data = data, model = model, options = list(...))
by_school <- function(...) case("hs", HS, group = "school", group.equal = c(...))
CASES <- list(
  group_configural = by_school(),
  group_loadings = by_school("loadings"),
  group_intercepts = by_school("loadings", "intercepts"),
  group_residuals = by_school("loadings", "intercepts", "residuals"),
  group_means = by_school("loadings", "intercepts", "means"),
  group_partial = case("hs", HS, group = "school", group.equal = c("loadings", "intercepts"),
    group.partial = c("x3 ~ 1", "x7 ~ 1")),
  group_covariates = case("hs", COVARIATES, group = "school", group.equal = "regressions"),
  group_fiml = case("hsmiss", HS, estimator = "MLR", missing = "fiml", group = "school", group.equal = "loadings"),
  second_order = case("hs", paste(HS, "g =~ visual + textual + speed", sep = "\n"), meanstructure = TRUE),
  unit_loadings = case("hs",
    "visual =~ NA*x1 + x2 + x3\ntextual =~ 1*x4 + 1*x5 + x6\nvisual ~~ 1*visual + 0*textual\nx4 ~~ x1"),
  fixed_variances = case("hs",
    "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nx2 ~~ 1*x2\ntextual ~~ 0.9*textual\nx5 ~~ 0.5*x5"),
  paths = case("hs", "x4 ~ x1 + ageyr\nx7 ~ x4 + x1\nx9 ~ x4 + female\nx4 ~~ 0*x7 + 0*x9"),
  paths_fiml = case("hsmiss", "x4 ~ x1 + ageyr\nx7 ~ x4 + x1\nx9 ~ x4 + female\nx4 ~~ 0*x7 + 0*x9", missing = "fiml"),
  mixed = case("hs", "visual =~ x1 + x2 + x3\nx4 ~ visual + ageyr\nx7 ~ x4 + female\nx4 ~~ 0*x7"),
  indicator_predicts = case("hs", "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nx9 ~ x1 + textual"),
  single = case("hs", "visual =~ x1 + x2 + x3\nage =~ ageyr\nvisual ~ age\nx9 ~ visual"),
  causes = case("hs", CAUSES),
  causes_fiml = case("hsmiss", CAUSES, missing = "fiml"),
  ordered_loadings = case("hscat", HS, estimator = "WLSMV", ordered = paste0("x", 1:9), group = "school",
    group.equal = "loadings"),
  ordered_thresholds = case("hscat", HS, estimator = "WLSMV", ordered = paste0("x", 1:9), group = "school",
    group.equal = c("loadings", "thresholds")),
  ordered_causes = case("hscat", CAUSES, estimator = "WLSMV", ordered = paste0("x", 1:6)))

free_directions <- function(fit) if (fit@Model@eq.constraints) fit@Model@eq.constraints.K else diag(fit@Model@nx.free)
gradient_at <- function(fit, x) as.numeric(lavaan:::lav_model_gradient(
  lavaan:::lav_model_set_parameters(fit@Model, x), lavsamplestats = fit@SampleStats, lavdata = fit@Data,
  lavcache = fit@Cache, type = "free", group.weight = !fit@SampleStats@missing.flag) %*% free_directions(fit))
newton <- function(fit, steps = 4, h = 1e-5) {
  K <- free_directions(fit)
  x <- as.numeric(coef(fit))
  hessian <- sapply(seq_len(ncol(K)), function(j)
    (gradient_at(fit, x + h * K[, j]) - gradient_at(fit, x - h * K[, j])) / (2 * h))
  for (step in seq_len(steps)) x <- x - as.numeric(K %*% solve(hessian, gradient_at(fit, x)))
  x
}
fit_case <- function(case) {
  arguments <- c(list(model = case$model, data = read(case$data), fixed.x = TRUE, em.h1.iter.max = 5000,
    em.h1.tol = 1e-12), case$options[lengths(case$options) > 0])
  first <- do.call("sem", c(arguments, se = "none", test = "none"))
  start <- parTable(first)
  start$est[start$free > 0] <- newton(first)[start$free[start$free > 0]]
  fit <- do.call("sem", c(arguments, list(start = start, optim.method = "none")))
  stopifnot(max(abs(gradient_at(fit, as.numeric(coef(fit))))) < 1e-10)
  fit
}
# lavaan's extended model must keep the order of the variables: where it does not, its indices are those of others
check_order <- function(fit) {
  add <- lavaan:::lav_partable_full(fit@ParTable, fit@pta, free = TRUE, start = TRUE,
    strict.exo = fit@Model@conditional.x)
  add$free <- 1L
  add$user <- 10L
  extended <- lavaan:::lav_object_extended(fit, add = add, all.free = TRUE)
  stopifnot(identical(lavNames(fit, "ov"), lavNames(extended, "ov")))
}
reference <- function(case) {
  fit <- fit_case(case)
  check_order(fit)
  table <- as.data.frame(modificationIndices(fit, standardized = TRUE, na.remove = FALSE))
  class(table) <- "data.frame"
  if (is.null(table$group)) table$group <- 1L
  c(case, list(group_labels = I(as.character(lavInspect(fit, "group.label"))),
    modindices = table[c("lhs", "op", "rhs", "group", "mi", "epc", "sepc.all")]))
}
write(toJSON(lapply(CASES, reference), digits = I(12), auto_unbox = TRUE, na = "null"),
  file.path(OUT, "modification.json"))
writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), file.path(OUT, "modification_sessionInfo.txt"))
