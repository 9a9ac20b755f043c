# Reference values for bootstrap draws: lavaan's estimates of a model in given resamples, where rows are drawn within
# groups, have missing values, or are categories. Run: Rscript semfit/tests/reference/effects_draws.R (from the root of the
# repository, after estimators.R, whose data it reads). Makes effects_draws.json and effects_draws_sessionInfo.txt.
# Each case: what is given to sem(), the resamples (row numbers of the data, from 1), and for each resample the raw and
# the completely standardized estimate of every row of the parameter table.
suppressMessages({library(lavaan); library(jsonlite)})
OUT <- "semfit/tests/reference"
DRAWS <- 12

measured <- "visual =~ x1 + x2 + x3
textual =~ x4 + x5 + x6
speed =~ x7 + x8 + x9"
paths <- paste(measured, "speed ~ a*visual + b*textual", "textual ~ c*visual", "ind := c*b", sep = "\n")
covariates <- paste(measured, "speed ~ a*visual + b*textual + ageyr", "textual ~ c*visual", "visual ~ female",
  "ind := c*b", sep = "\n")
grouped <- paste(measured, "speed ~ visual + textual", "textual ~ visual", sep = "\n")
cases <- list(
  ml_covariates = list(data = "hs", model = covariates, estimator = "ML", missing = "listwise"),
  fiml = list(data = "pdmiss", model = paste("ind60 =~ x1 + x2 + x3", "dem60 =~ y1 + y2 + y3 + y4",
    "dem60 ~ a*ind60", sep = "\n"), estimator = "MLR", missing = "fiml"),
  fiml_covariates = list(data = "hsmiss", model = covariates, estimator = "MLR", missing = "fiml"),
  groups = list(data = "hs", model = grouped, estimator = "MLR", missing = "listwise", group = "school",
    group.equal = c("loadings", "intercepts")),
  fiml_groups = list(data = "hsmiss", model = grouped, estimator = "MLR", missing = "fiml", group = "school",
    group.equal = "loadings"),
  ordered = list(data = "hscat", model = paths, estimator = "WLSMV", missing = "listwise", ordered = paste0("x", 1:9)))

read_case <- function(case) read.csv(file.path(OUT, "estimators", paste0("data_", case$data, ".csv")))
# rows that a fit uses: with fiml all but those without any value (case fiml has no covariates, hsmiss one empty row)
usable <- function(case, d) {
  items <- setdiff(lavNames(case$model, "ov"), c("ageyr", "female"))
  if (case$missing == "fiml" && !grepl("ageyr", case$model)) which(rowSums(!is.na(d[items])) > 0) else seq_len(nrow(d))
}
refit <- function(case, rows, start = NULL) {
  arguments <- modifyList(case, list(data = read_case(case)[rows, ], se = "none", test = "none", fixed.x = TRUE,
    em.h1.iter.max = 5000, control = list(rel.tol = 1e-14)))
  if (!is.null(case$group)) arguments$group.label <- sort(unique(read_case(case)[[case$group]]))
  fit <- suppressWarnings(do.call("sem", arguments))
  stopifnot(max(abs(lavTech(fit, "optim.gradient"))) < 1e-4) # nlminb calls so small a tolerance false convergence
  raw <- parTable(fit)
  raw <- raw[raw$op %in% c("=~", "~", "~~", "~1", "|"), ]
  std <- standardizedSolution(fit, se = FALSE)
  std <- std[std$op %in% c("=~", "~", "~~", "~1", "|"), ]
  stopifnot(nrow(std) == nrow(raw), std$lhs == raw$lhs, std$rhs == raw$rhs)
  data.frame(lhs = raw$lhs, op = raw$op, rhs = raw$rhs, group = raw$group, est = raw$est, std = std$est.std)
}
set.seed(20130101)
result <- lapply(cases, function(case) {
  d <- read_case(case)
  at <- usable(case, d)
  within <- if (is.null(case$group)) list(at) else split(at, d[[case$group]][at])
  resamples <- replicate(DRAWS, unlist(lapply(within, function(i) i[sample.int(length(i), replace = TRUE)]),
    use.names = FALSE), simplify = FALSE)
  draws <- lapply(resamples, function(rows) refit(case, rows))
  list(call = case, resamples = resamples, rows = draws[[1]][c("lhs", "op", "rhs", "group")],
    est = lapply(draws, function(x) signif(x$est, 10)), std = lapply(draws, function(x) signif(x$std, 10)))
})
write_json(result, file.path(OUT, "effects_draws.json"), auto_unbox = TRUE, digits = NA, null = "null", na = "null")
writeLines(capture.output(sessionInfo()), file.path(OUT, "effects_draws_sessionInfo.txt"))
