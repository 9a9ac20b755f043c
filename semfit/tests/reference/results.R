# Reference values for what is made of a fit: intervals at another level, the other standardised solutions with their
# standard errors, moments of latent variables, scores, expected answers and predictions.
# Run: Rscript semfit/tests/reference/results.R (from the root of the repository; estimators.R made what it reads).
# Makes results.json and results_sessionInfo.txt. Of each case of estimators/ named below:
#   intervals     parameterEstimates(fit, level = .9): rows
#   std.lv, std.nox   standardizedSolution(fit, type): rows
#   cov.lv, mean.lv   per group
#   rows          places (from 1) of the rows that are used, of all groups one after the other
#   scores        by method: list of rows in that order; se: of method, rows or one row per group, where lavaan has it
#   yhat          lavPredict(type = "ov"), same order
#   predicted     lavPredictY(fit, ynames, xnames), same order, with y and x
#   new           scores (regression) of new data: rows 11 to 40, each value of an item times 1.1
suppressMessages({library(lavaan); library(jsonlite)})
options(warn = 1)
OUT <- "semfit/tests/reference"
CASES <- c("hs_ml_listwise", "hs_mlr_listwise_covariates", "hs_mlr_listwise_means", "pd_ml_listwise",
  "hsmiss_ml_fiml_covariates", "hsmiss_mlr_fiml_group_loadings", "hsmiss_mlr_listwise",
  "hscat_wlsmv_listwise", "hscat_wlsmv_listwise_covariates", "hscat_wlsmv_listwise_group_thresholds",
  "hscat_wlsmv_listwise_mixed_measurement")
rows <- function(x) lapply(seq_len(nrow(x)), function(i) signif(as.numeric(x[i, ]), 10))
stack_groups <- function(x) if (is.list(x)) do.call(rbind, lapply(x, unclass)) else unclass(x)
each_group <- function(x) if (is.list(x) && !is.matrix(x)) x else list(x)
table_of <- function(x) {
  x <- as.data.frame(unclass(x))
  if (is.null(x$group)) x$group <- 1
  x[sapply(x, is.numeric)] <- lapply(x[sapply(x, is.numeric)], signif, 10)
  x
}

# the fit at the estimates of its case, which are nlminb's after some Newton steps
refit <- function(case, d) {
  o <- case$options
  arguments <- list(case$model, d, estimator = o$estimator, missing = o$missing, group = o$group,
    ordered = if (length(o$ordered)) unlist(o$ordered),
    group.equal = if (length(o$group_equal)) unlist(o$group_equal) else "",
    group.partial = if (length(o$group_partial)) unlist(o$group_partial) else "",
    meanstructure = if (is.null(o$meanstructure)) "default" else o$meanstructure, fixed.x = TRUE,
    em.h1.iter.max = 5000, em.h1.tol = 1e-12)
  start <- parTable(do.call("sem", c(arguments, list(se = "none", test = "none"))))
  key <- function(x) paste(x$lhs, x$op, x$rhs, x$group)
  known <- do.call(rbind, lapply(case$estimates, function(x) data.frame(x[c("lhs", "op", "rhs", "group", "est")])))
  place <- match(key(start), key(known))
  start$est[!is.na(place)] <- known$est[place[!is.na(place)]]
  do.call("sem", c(arguments, list(start = start, optim.method = "none")))
}
`%||%` <- function(a, b) if (is.null(a)) b else a

scores_of <- function(fit, categorical) {
  out <- list()
  methods <- if (categorical) c("EBM", "ML") else c("regression", "Bartlett")
  for (method in methods) {
    s <- if (categorical) lavPredict(fit, method = method, optim.method = "nlminb") else
      lavPredict(fit, method = method, se = "standard")
    out[[tolower(method)]] <- list(values = rows(stack_groups(s)),
      se = if (!categorical) lapply(attr(s, "se"), rows))
  }
  out
}

one <- function(name) {
  cat(name, "\n")
  case <- fromJSON(file.path(OUT, "estimators", paste0(name, ".json")), simplifyVector = FALSE)
  d <- read.csv(file.path(OUT, "estimators", paste0("data_", case$data, ".csv")))
  fit <- refit(case, d)
  categorical <- lavInspect(fit, "categorical")
  ov <- lavNames(fit, "ov.nox")
  x <- lavNames(fit, "ov.x")
  items <- lavNames(fit, "ov.ind")
  result <- list(
    intervals = table_of(parameterEstimates(fit, level = .9)),
    std.lv = table_of(standardizedSolution(fit, type = "std.lv")),
    std.nox = table_of(standardizedSolution(fit, type = "std.nox")),
    latents = lavNames(fit, "lv"), observed = lavNames(fit, "ov"),
    cov.lv = lapply(each_group(lavInspect(fit, "cov.lv")), function(m) rows(unclass(m))),
    mean.lv = lapply(each_group(lavInspect(fit, "mean.lv")), function(m) signif(as.numeric(m), 10)),
    rows = unlist(lavInspect(fit, "case.idx")),
    scores = scores_of(fit, categorical),
    yhat = if (!categorical) rows(stack_groups(lavPredict(fit, type = "ov", method = "regression"))))
  if (!categorical) {
    y <- if (length(x)) ov else items[1:3]
    given <- if (length(x)) x else items[4:length(items)]
    if (case$options$missing == "listwise")
      result$predicted <- list(y = y, x = given,
        values = rows(stack_groups(lavPredictY(fit, ynames = y, xnames = given, assemble = FALSE))))
    if (is.null(case$options$group)) {
      new <- d[11:40, ]
      new[items] <- new[items] * 1.1
      result$new <- rows(lavPredict(fit, newdata = new, method = "regression"))
    }
  }
  result
}
all <- setNames(lapply(CASES, one), CASES)
write_json(all, file.path(OUT, "results.json"), digits = I(10), na = "null", auto_unbox = TRUE, null = "null")
writeLines(capture.output(sessionInfo()), file.path(OUT, "results_sessionInfo.txt"))
